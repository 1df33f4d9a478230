"""Amazon CloudWatch: log events of any log group, events of EventBridge, notices of alarms.

Format:   https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
          https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
Bodies:   subscriptions of CloudWatch Logs, what its read API and Logs Insights return, single events of EventBridge or
          one a line, notices of alarms with and without their SNS notification.
Not here: CloudTrail events, GuardDuty findings, flow logs and Kubernetes audit events that come the same way.
Fixtures: tests/ingest/formats/aws_cloudwatch/golden/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ingest.formats.aws_cloudwatch.fields import FIELDS
from ingest.formats.aws_cloudwatch.mapping import document_of
from ingest.formats.aws_cloudwatch.records import LIST_KEYS, Opened, open_record
from ingest.formats.aws_records.log_groups import context_of, control_message
from ingest.formats.contract import Document, Format, LogSource, Reading, View
from ingest.parsing.json_slices import split_objects
from ingest.schema.envelope import Context
from ingest.schema.fields import Field
from ingest.schema.identity import leaf_hash


class CloudWatchReading:
    """A parsed record."""

    __slots__ = ("_opened", "record", "shown")

    def __init__(self, record: bytes, opened: Opened) -> None:
        self.record = self.shown = record
        self._opened = opened

    def identify(self) -> str | None:
        """The id that AWS gave the log event, the event or the notification; None without one."""
        return self._opened.own_id

    def view(self) -> View:
        """The event, the notice, or what the log event says: its JSON, else `message`; `logGroup` beside it."""
        opened = self._opened
        vendor: dict[str, Any] = dict(opened.event or opened.alarm or opened.message)
        if opened.logged:
            vendor.setdefault("message", opened.logged.message)
            vendor.update(
                {
                    name: opened.logged.beside[key]
                    for name, key in (("logGroup", "log_group"), ("logStream", "log_stream"), ("owner", "owner"))
                    if opened.logged.beside.get(key)
                }
            )
        return View(vendor=vendor, member=self._id())

    def normalise(self) -> Document:
        """The ECS document.

        Raises:
            MalformedRecord: It can't be placed in time.
        """
        return document_of(self._opened, self._id())

    def _id(self) -> str:
        return self._opened.own_id or f"leaf:{leaf_hash(self.record).hex()}"


class AwsCloudWatch(Format):
    """The format `aws.cloudwatch`; see `ingest/formats/contract.py` for what each part promises."""

    name: str = "aws.cloudwatch"
    dataset: str = "aws.cloudwatch_logs"
    version: str = "1"
    clock_name: str = "timestamp"
    log_source: LogSource = LogSource(product="aws", service="cloudwatch")
    fields: Sequence[Field] = FIELDS
    aliases: Mapping[str, str] = MappingProxyType({})
    list_keys: Sequence[str] = LIST_KEYS
    marks: Sequence[bytes] = (b'"message"', b'"@message"', b'"detailtype"', b"alarmname")

    def __init__(self, context: Context = ()) -> None:
        """For records of a body that said `context`."""
        self._context = context

    def split(self, body: bytes) -> Iterator[bytes]:
        """Yield the exact slices of a body's records: the log events of a subscription, or its events.

        Raises:
            MalformedBody: At the first byte that can't be split; the records before it are delivered.
        """
        return split_objects(body, LIST_KEYS, self.claims)

    def context(self, body: bytes) -> Context:
        """Owner, log group and stream of a subscription."""
        return context_of(body)

    def within(self, context: Context) -> Format:
        """The format for records that came through that log group."""
        return AwsCloudWatch(context) if context else self

    def read(self, record: bytes) -> Reading:
        """Read a record.

        Raises:
            MalformedRecord: None of CloudWatch's, or one that belongs to another format, which is named.
        """
        return control_message(record) or CloudWatchReading(record, open_record(record, self._context))


FORMAT = AwsCloudWatch()
