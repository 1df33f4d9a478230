"""From a collected body to its records: inflate, split, count repeats. Pure; a fault is a value, not an exception.

Everything before a fault is kept: the records go on, and the whole body, as received, becomes a dead letter.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field

from ingest.formats.contract import Format
from ingest.parsing.gzip_member import inflate
from ingest.schema.envelope import Context, Origin
from ingest.schema.errors import MalformedBody

_OBJECTS = 64  # source objects whose repeats are remembered, the latest
_LEAVES = 500_000  # distinct records remembered of one object, about 60 MB


@dataclass(slots=True)
class Unpacked:
    """What a body held.

    Attributes:
        records: The exact bytes of each record, in order.
        repeats: Ordinal in `records` → how many times the same bytes occurred before in the same source object.
        context: What the body says of all its records beside them.
        sha256: Hex SHA-256 of the inflated body; of the body as received where it can't be inflated.
        fault: Why the rest of the body could not be read.
    """

    records: list[bytes] = field(default_factory=list)
    repeats: dict[int, int] = field(default_factory=dict)
    context: Context = ()
    sha256: str = ""
    fault: MalformedBody | None = None


class Contexts:
    """Remembers what the beginning of a source object said, for its parts that come as later bodies.

    It is kept for the latest objects only and not across a restart: then a format that needs it refuses the records,
    and a redrive of the whole object mends that.
    """

    def __init__(self) -> None:
        self._objects: OrderedDict[str, Context] = OrderedDict()

    def of(self, origin: Origin, said: Context) -> Context:
        """What counts for a body: what it says itself, else what an earlier part of the same object said."""
        key = _object_of(origin)
        if said or origin.first_ordinal == 0:
            self._objects[key] = said
        while len(self._objects) > _OBJECTS:
            self._objects.popitem(last=False)
        return said or self._objects.get(key, ())


class Repeats:
    """Counts identical records of one source object, also when it comes as several bodies.

    A format without ids tells identical records apart by this count. It is kept for the latest objects only and not
    across a restart: then an identical line of a file that is continued counts as a duplicate.
    """

    def __init__(self) -> None:
        self._objects: OrderedDict[str, dict[bytes, int]] = OrderedDict()

    def of(self, origin: Origin, records: list[bytes]) -> dict[int, int]:
        """Ordinal in `records` → earlier occurrences, for those that have any."""
        key = _object_of(origin)
        if origin.first_ordinal == 0:
            self._objects.pop(key, None)
        seen = self._objects.setdefault(key, {})
        self._objects.move_to_end(key)
        while len(self._objects) > _OBJECTS:
            self._objects.popitem(last=False)
        found: dict[int, int] = {}
        for ordinal, record in enumerate(records):
            digest = hashlib.blake2b(record, digest_size=16).digest()
            before = seen.get(digest, 0)
            if before:
                found[ordinal] = before
            if before or len(seen) < _LEAVES:
                seen[digest] = before + 1
        return found


def _object_of(origin: Origin) -> str:
    return f"{origin.transport}\0{origin.locator}\0{origin.version}"


def unpack(body: bytes, format_: Format, limit: int) -> Unpacked:
    """Inflate and split a body.

    Args:
        body: As received, perhaps gzip.
        format_: What knows where its records begin and end.
        limit: The most bytes the inflated body may have.
    """
    found = Unpacked()
    try:
        inflated = inflate(body, limit)
    except MalformedBody as exc:
        found.sha256, found.fault = hashlib.sha256(body).hexdigest(), exc
        return found
    found.sha256 = hashlib.sha256(inflated).hexdigest()
    try:
        found.context = format_.context(inflated)
        found.records.extend(format_.split(inflated))
    except MalformedBody as exc:
        found.fault = exc
    except Exception as exc:  # noqa: BLE001 - a fault in a format must cost this body only; its bytes are kept
        found.fault = MalformedBody(f"splitting body: {type(exc).__name__}: {exc}", where=f"format {format_.name}")
    return found
