"""Skytrail's own actions: who searched, changed, redrove or deleted what, and how it ended.

Format:   ingest/schema/action.py, a JSON object a record
Bodies:   one action a line, arrays, single actions. Only the product writes them; a source may not bring them (`own`).
Fixtures: tests/ingest/formats/skytrail_audit/golden/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ingest.formats.contract import Document, Format, LogSource, Reading, View
from ingest.formats.skytrail_audit.fields import FIELDS
from ingest.formats.skytrail_audit.mapping import document_of
from ingest.parsing.json_slices import split_objects
from ingest.parsing.json_value import parse_object
from ingest.parsing.scalars import text_of
from ingest.schema.action import FORMAT_NAME, MARK
from ingest.schema.errors import MalformedRecord
from ingest.schema.fields import Field
from ingest.schema.identity import leaf_hash


class ActionReading:
    """A parsed record."""

    __slots__ = ("_action", "record", "shown")

    def __init__(self, record: bytes, action: dict[str, Any]) -> None:
        self.record = self.shown = record
        self._action = action

    def identify(self) -> str | None:
        """The id of the action; the same id with another outcome is told as a rewritten record."""
        return text_of(self._action.get("id"))

    def view(self) -> View:
        """The action as it was written."""
        return View(vendor=self._action, member=self._id())

    def normalise(self) -> Document:
        """The ECS document.

        Raises:
            MalformedRecord: It can't be placed in time.
        """
        return document_of(self._action, self._id())

    def _id(self) -> str:
        return self.identify() or f"leaf:{leaf_hash(self.record).hex()}"


class SkytrailAudit(Format):
    """The format `skytrail.audit`; see `ingest/formats/contract.py` for what each part promises."""

    name: str = FORMAT_NAME
    dataset: str = FORMAT_NAME
    version: str = "1"
    own: bool = True
    clock_name: str = "at"
    log_source: LogSource = LogSource(product="skytrail", service="audit")
    fields: Sequence[Field] = FIELDS
    aliases: Mapping[str, str] = MappingProxyType({})
    marks: Sequence[bytes] = (MARK.lower().encode(),)

    def split(self, body: bytes) -> Iterator[bytes]:
        """Yield the exact slices of a body's records.

        Raises:
            MalformedBody: At the first byte that can't be split; the records before it are delivered.
        """
        return split_objects(body, ())

    def read(self, record: bytes) -> Reading:
        """Parse a record.

        Raises:
            MalformedRecord: No action of Skytrail.
        """
        action = parse_object(record)
        if MARK not in action:
            raise MalformedRecord(
                f"reading action: it has no {MARK}", mend="find out who writes to the topic of actions"
            )
        return ActionReading(record, action)


FORMAT = SkytrailAudit()
