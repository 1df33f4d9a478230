"""Findings of Amazon GuardDuty.

Format:   Finding, schema version 2.0
          https://docs.aws.amazon.com/guardduty/latest/APIReference/API_Finding.html
Bodies:   exports to S3 (one finding a line), EventBridge events, what GetFindings returns (also as SDKs and the CLI
          write it), EventBridge events in a log group.
Fixtures: tests/ingest/formats/aws_guardduty/golden/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from ingest.formats.aws_guardduty.fields import FIELDS
from ingest.formats.aws_guardduty.mapping import document_of
from ingest.formats.aws_guardduty.records import LIST_KEYS, Opened, open_record
from ingest.formats.aws_records.log_groups import context_of, control_message
from ingest.formats.contract import Document, Format, LogSource, Reading, View
from ingest.parsing.json_slices import split_objects
from ingest.parsing.scalars import text_of
from ingest.schema.envelope import Context
from ingest.schema.errors import MalformedRecord
from ingest.schema.fields import Field

# A sample may end inside its first record; `\\*` because log groups hold the event as JSON text.
_TELLTALE = re.compile(
    rb'\\*"detail-type\\*"\s*:\s*\\*"GuardDuty Finding|arn:aws[a-z-]*:guardduty:[a-z0-9-]*:[0-9]*:detector/'
)


class FindingReading:
    """A parsed record; it holds no secrets."""

    __slots__ = ("_opened", "record", "shown")

    def __init__(self, record: bytes, opened: Opened) -> None:
        self.record = self.shown = record
        self._opened = opened

    def identify(self) -> str | None:
        """Id and time of the update: an update has the id of the finding, and is a record of its own."""
        finding = self._opened.finding
        updated = text_of(finding.get("updatedAt"))
        return f"{text_of(finding.get('id'))}|{updated}" if updated else None

    def view(self) -> View:
        """The finding without its wrapper, for rules; its updates count as one."""
        return View(vendor=self._opened.finding, member=text_of(self._opened.finding.get("id")) or "")

    def normalise(self) -> Document:
        """The ECS document.

        Raises:
            MalformedRecord: It can't be placed in time.
        """
        return document_of(self._opened)


class AwsGuardDuty(Format):
    """The format `aws.guardduty`; see `ingest/formats/contract.py` for what each part promises."""

    name: str = "aws.guardduty"
    dataset: str = "aws.guardduty"
    version: str = "1"
    clock_name: str = "updatedAt"
    log_source: LogSource = LogSource(product="aws", service="guardduty")
    fields: Sequence[Field] = FIELDS
    aliases: Mapping[str, str] = MappingProxyType({})
    list_keys: Sequence[str] = LIST_KEYS
    marks: Sequence[bytes] = (b"guardduty",)
    telltale: re.Pattern[bytes] | None = _TELLTALE

    def __init__(self, context: Context = ()) -> None:
        """For records of a body that said `context`."""
        self._context = context

    def split(self, body: bytes) -> Iterator[bytes]:
        """Yield the exact slices of a body's records; what EventBridge or a log group wrapped stays wrapped.

        Raises:
            MalformedBody: At the first byte that can't be split; the records before it are delivered.
        """
        return split_objects(body, LIST_KEYS, self.claims)

    def context(self, body: bytes) -> Context:
        """Owner, log group and stream of a subscription."""
        return context_of(body)

    def within(self, context: Context) -> Format:
        """The format for records that came through that log group."""
        return AwsGuardDuty(context) if context else self

    def read(self, record: bytes) -> Reading:
        """Take a finding out of its wrappers.

        Raises:
            MalformedRecord: No finding.
        """
        return control_message(record) or FindingReading(record, open_record(record, self._context))

    def claims(self, record: bytes) -> bool:
        """Whether a record is a finding."""
        try:
            return b"guardduty" in record.lower() and bool(open_record(record).finding)
        except MalformedRecord:
            return False


FORMAT = AwsGuardDuty()
