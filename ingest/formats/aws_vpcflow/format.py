"""VPC flow logs of AWS, version 2 to 10, in any order of fields.

Format:   https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html
Bodies:   files of S3 (a line of names, then a line for each flow), CloudWatch Logs subscriptions and its read API,
          lines without names in AWS's own order, JSON objects that tools make of them. Parquet is not read.
Fixtures: tests/ingest/formats/aws_vpcflow/golden/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from ingest.formats.aws_records.log_groups import LIST_KEYS, context_of, control_message
from ingest.formats.aws_vpcflow.fields import FIELDS
from ingest.formats.aws_vpcflow.layouts import FIELDS as NAMES
from ingest.formats.aws_vpcflow.layouts import Layout, header_of
from ingest.formats.aws_vpcflow.mapping import document_of
from ingest.formats.aws_vpcflow.records import Flow, header_in, open_record, split
from ingest.formats.contract import Document, Format, LogSource, Reading, View
from ingest.parsing.json_slices import is_json, split_objects
from ingest.parsing.scalars import long_of
from ingest.schema.envelope import Context
from ingest.schema.errors import RejectedRecord
from ingest.schema.fields import Field
from ingest.schema.identity import leaf_hash

_FIELDS = "fields"
_NUMBERS = ("srcport", "dstport", "protocol", "packets", "bytes", "start", "end", "tcp-flags", "traffic-path")
_CAMELS = (("srcaddr", "srcAddr"), ("dstaddr", "dstAddr"), ("srcport", "srcPort"), ("dstport", "dstPort"))


def _spellings() -> Iterator[tuple[str, str]]:
    """Names that tools and public rules use: `pkt_srcaddr`, `pktSrcAddr`, `pktSrcaddr`."""
    for name in NAMES:
        first, *others = name.split("-")
        yield name.replace("-", "_"), name
        camel = first + "".join(part.title() for part in others)
        yield camel, name
        for plain, spelt in _CAMELS:
            if plain in name:
                yield camel.replace(plain, spelt).replace(plain.title(), spelt[:1].upper() + spelt[1:]), name


class FlowReading:
    """A parsed record; it holds no secrets."""

    __slots__ = ("_flow", "_leaf", "record", "shown")

    def __init__(self, record: bytes, flow: Flow) -> None:
        self.record = self.shown = record
        self._flow = flow
        self._leaf = leaf_hash(record).hex()

    def identify(self) -> str | None:
        """None: a flow log gives its records no ids."""
        return None

    def view(self) -> View:
        """The fields under AWS's names, numbers as numbers; a record without a flow is not for rules on flows."""
        fields = dict(self._flow.fields)
        for name in _NUMBERS:
            number = long_of(fields.get(name))
            if number is not None:
                fields[name] = number
        return View(vendor=fields, member=f"leaf:{self._leaf}")

    def normalise(self) -> Document:
        """The ECS document.

        Raises:
            MalformedRecord: It has no time.
        """
        return document_of(self._flow, f"leaf:{self._leaf}")


class AwsVpcFlow(Format):
    """The format `aws.vpcflow`; see `ingest/formats/contract.py` for what each part promises."""

    name: str = "aws.vpcflow"
    dataset: str = "aws.vpcflow"
    version: str = "1"
    clock_name: str = "end"
    log_source: LogSource = LogSource(product="aws", service="vpcflow")
    fields: Sequence[Field] = FIELDS
    aliases: Mapping[str, str] = MappingProxyType({name: field for name, field in _spellings() if name != field})
    """Other spellings of AWS's names."""
    list_keys: Sequence[str] = LIST_KEYS
    marks: Sequence[bytes] = (b'"message"', b'"@message"', b"srcaddr", b"dstaddr", b"interfaceid", b"logstatus")

    def __init__(self, context: Context = ()) -> None:
        """For records of a body that said `context`."""
        self._context = context
        self._layout: Layout | None = next((tuple(said.split()) for name, said in context if name == _FIELDS), None)

    def split(self, body: bytes) -> Iterator[bytes]:
        """Yield the lines of a file without the line of names; what a subscription wrapped stays wrapped.

        Raises:
            MalformedBody: A second line of names, or JSON that can't be split; the records before are delivered.
        """
        return split(body, self.claims)

    def context(self, body: bytes) -> Context:
        """The names of the fields at the head of a file; owner, log group and stream of a subscription."""
        names = header_in(body)
        return ((_FIELDS, " ".join(names)),) if names else context_of(body) if is_json(body) else ()

    def within(self, context: Context) -> Format:
        """The format for records whose fields are named so, or which came through that log group."""
        return AwsVpcFlow(context) if context else self

    def read(self, record: bytes) -> Reading:
        """Parse a record.

        Raises:
            MalformedRecord: Not of a flow log, or nobody named its fields.
        """
        control = control_message(record)
        return control or FlowReading(record, open_record(record, self._layout, self._context))

    def claims(self, record: bytes) -> bool:
        """Whether a record is a line in AWS's order, a log event with one, or an object with a flow's fields."""
        try:
            flow = open_record(record)
        except RejectedRecord:
            return False
        return _is_flow(flow) if is_json(record) else bool(flow.fields)

    def recognise(self, sample: bytes) -> bool:
        """Whether a body begins with a line of names or a record in AWS's order, or holds log events that are such."""
        try:
            if not is_json(sample):
                layout = header_in(sample)
                first = next(split(sample[: sample.rfind(b"\n") + 1] or sample, self.claims), None)
                return layout is not None if first is None else bool(open_record(first, layout).fields)
            record = next(split_objects(sample, LIST_KEYS, self.claims), None)
            return record is not None and self.claims(record)
        except RejectedRecord:
            return False


def _is_flow(flow: Flow) -> bool:
    return bool(flow.fields) and header_of(b" ".join(name.encode() for name in flow.fields)) is not None


FORMAT = AwsVpcFlow()
