"""AWS CloudTrail: management, data, network-activity and Insight events, and digest files.

Format:   CloudTrail record contents, eventVersion 1.01 to 1.11
          https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
Bodies:   log files (``{"Records": […]}``), one event a line, a single event, an array, lookup-events
          (``{"Events": […]}``), EventBridge events, CloudWatch Logs subscriptions (``{"logEvents": […]}``); a digest
          file is one record. Notifications of SNS and SQS are the transport's business.
Fixtures: tests/ingest/formats/aws_cloudtrail/golden/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from ingest.formats.aws_cloudtrail.digest import is_digest
from ingest.formats.aws_cloudtrail.fields import FIELDS
from ingest.formats.aws_cloudtrail.mapping import document_of
from ingest.formats.aws_cloudtrail.records import LIST_KEYS, Opened, open_record
from ingest.formats.aws_records.log_groups import control_message
from ingest.formats.contract import SAMPLED, Document, Format, LogSource, Reading, View
from ingest.parsing.json_slices import split_objects
from ingest.schema.errors import RejectedRecord
from ingest.schema.fields import Field
from ingest.schema.identity import leaf_hash

# A sample may end inside its first record; `\\?` because lookup-events and log groups hold the event as JSON text.
_TELLTALE = re.compile(
    rb'\\?"eventsource\\?"\s*:\s*\\?"[a-z0-9.-]+\.amazonaws\.com|"digests3object"\s*:', re.IGNORECASE
)

_OTHERS = b"audit.k8s.io"


class CloudTrailReading:
    """A parsed record. CloudTrail hides secrets itself, so the record is shown as it is."""

    __slots__ = ("_opened", "_own_id", "record", "shown")

    def __init__(self, record: bytes, opened: Opened) -> None:
        self.record = self.shown = record
        self._opened = opened
        event_id = opened.event.get("eventID")
        self._own_id = event_id if isinstance(event_id, str) and event_id else None

    def identify(self) -> str | None:
        """`eventID`, which AWS chooses; None without one (digest files, cut exports)."""
        return self._own_id

    def view(self) -> View:
        """The event without its wrapper."""
        return View(vendor=self._opened.event, member=self._id())

    def normalise(self) -> Document:
        """The ECS document.

        Raises:
            MalformedRecord: It can't be placed in time.
        """
        return document_of(self._opened, self._id())

    def _id(self) -> str:
        return self._own_id or f"leaf:{leaf_hash(self.record).hex()}"


class AwsCloudTrail(Format):
    """The format `aws.cloudtrail`; see `ingest/formats/contract.py` for what each part promises."""

    name: str = "aws.cloudtrail"
    dataset: str = "aws.cloudtrail"
    version: str = "1"
    clock_name: str = "eventTime"
    log_source: LogSource = LogSource(product="aws", service="cloudtrail")
    fields: Sequence[Field] = FIELDS
    aliases: Mapping[str, str] = MappingProxyType({})
    """Public Sigma rules for CloudTrail use the vendor's own names, which the view has."""
    list_keys: Sequence[str] = LIST_KEYS
    marks: Sequence[bytes] = (b"eventname", b"eventsource", b"insightdetails", b"digest")

    def split(self, body: bytes) -> Iterator[bytes]:
        """Yield the exact slices of a body's records; elements of lookup-events and log groups stay wrapped.

        Raises:
            MalformedBody: At the first byte that can't be split; the records before it are delivered.
        """
        return split_objects(body, LIST_KEYS, self.claims)

    def read(self, record: bytes) -> Reading:
        """Parse a record and take the event out of its wrappers.

        Raises:
            MalformedRecord: Not a CloudTrail record.
        """
        return control_message(record) or CloudTrailReading(record, open_record(record))

    def claims(self, record: bytes) -> bool:
        """Whether a record is an event, an Insight or a digest."""
        try:
            return _is_cloudtrail(open_record(record))
        except RejectedRecord:
            return False

    def recognise(self, sample: bytes) -> bool:
        """Whether the first record of a body is CloudTrail's; of a sample cut inside it, whether it reads like one."""
        try:
            record = next(self.split(sample), None)
            if record is not None:
                return _is_cloudtrail(open_record(record))
        except RejectedRecord:
            pass  # cut or foreign: its beginning decides
        head = sample[:SAMPLED]
        return _OTHERS not in head and _TELLTALE.search(head) is not None


def _is_cloudtrail(opened: Opened) -> bool:
    event = opened.event
    if is_digest(event) or "insightDetails" in event:
        return True
    named = isinstance(event.get("eventName"), str) and isinstance(event.get("eventSource"), str)
    return named and "compartmentId" not in event  # Oracle's audit events of version 1 have both names, too


FORMAT = AwsCloudTrail()
