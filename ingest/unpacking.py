"""From a collected body to its records: inflate, split, tell formats apart, count repeats. Pure; a fault is a value.

Everything before a fault is kept: the records go on, and the whole body, as received, becomes a dead letter.

Without a format each JSON record goes to its own. A body that is no JSON has one format, which its beginning tells, or
told when the object came in parts.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ingest.formats.contract import Format
from ingest.formats.recognition import AUTO, formats_of, list_keys, only, recognise, uncertainty
from ingest.parsing.gzip_member import inflate
from ingest.parsing.json_slices import is_json, split_objects
from ingest.schema.envelope import Context, Origin
from ingest.schema.errors import MalformedBody

_OBJECTS = 64  # source objects whose repeats are remembered, the latest
_LEAVES = 500_000  # distinct records remembered of one object, about 60 MB
_LOG_EVENTS, _SEVERAL = b'"logEvents"', 2


@dataclass(frozen=True, slots=True)
class Run:
    """Records of a body that follow each other and are of one format.

    Attributes:
        start: Ordinal of the first in the body's records.
        end: Ordinal behind the last.
        format: Their format; None where nobody can tell it.
        context: What the body says of all its records beside them.
        why: Why nobody can tell.
    """

    start: int
    end: int
    format: Format | None
    context: Context = ()
    why: str = ""


@dataclass(slots=True)
class Unpacked:
    """What a body held.

    Attributes:
        records: The exact bytes of each record, in order.
        runs: The same records by their formats, in order, without gaps.
        repeats: Ordinal in `records` → how many times the same bytes occurred before in the same source object.
        sha256: Hex SHA-256 of the inflated body; of the body as received where it can't be inflated.
        fault: Why the rest of the body could not be read.
    """

    records: list[bytes] = field(default_factory=list)
    repeats: dict[int, int] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    sha256: str = ""
    fault: MalformedBody | None = None


class Contexts:
    """Remembers what the beginning of a source object said, for its parts that come as later bodies.

    It is kept for the latest objects only and not across a restart: then a format that needs it refuses the records,
    and a redrive of the whole object mends that.
    """

    def __init__(self) -> None:
        self._objects: OrderedDict[str, dict[str, Context]] = OrderedDict()

    def format_of(self, origin: Origin) -> str:
        """The one format of the earlier parts of an object; empty where there are none, or several formats."""
        known = self._objects.get(_object_of(origin), {}) if origin.first_ordinal else {}
        return next(iter(known)) if len(known) == 1 else ""

    def completed(self, origin: Origin, runs: list[Run], otherwise: Context) -> list[Run]:
        """The runs of a body with what counts for them: what it says itself, else what an earlier part said.

        Args:
            origin: Of the body.
            runs: Of the body.
            otherwise: What counts where neither says anything.
        """
        key = _object_of(origin)
        if origin.first_ordinal == 0:
            self._objects.pop(key, None)
        said = self._objects.setdefault(key, {})
        telling = {run.format.name for run in runs if run.format and run.context}
        self._objects.move_to_end(key)
        while len(self._objects) > _OBJECTS:
            self._objects.popitem(last=False)
        found = []
        for run in runs:
            name = run.format.name if run.format else ""
            if run.context or name not in said:
                said[name] = run.context
            earlier: Context = () if name in telling else said[name]
            found.append(replace(run, context=run.context or earlier or otherwise))
        return found


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


def unpack(body: bytes, format_: Format | None, limit: int, before: str = "") -> Unpacked:
    """Inflate and split a body.

    Args:
        body: As received, perhaps gzip.
        format_: What knows where its records begin and end; None: each record's own format, by its content.
        limit: The most bytes the inflated body may have.
        before: Name of the format of the earlier parts of the same object, where there were any.
    """
    found = Unpacked()
    try:
        inflated = inflate(body, limit)
    except MalformedBody as exc:
        found.sha256, found.fault = hashlib.sha256(body).hexdigest(), exc
        return found
    found.sha256 = hashlib.sha256(inflated).hexdigest()
    for part in _messages(inflated):
        _take(found, part, format_, before)
    return found


def _messages(body: bytes) -> list[bytes]:
    """The body; where several messages of log groups stand in it, each alone: each says where its records come from."""
    if body.count(_LOG_EVENTS) < _SEVERAL or not is_json(body):
        return [body]
    try:
        return list(split_objects(body, ()))
    except MalformedBody:
        return [body]


def _take(found: Unpacked, body: bytes, format_: Format | None, before: str) -> None:
    """Add the records of a body, or of a part of it, and its first fault."""
    start = len(found.records)
    try:
        if format_ is None and (is_json(body) or not body.strip()):
            _split(found, split_objects(body, list_keys(), lambda value: bool(formats_of(value))))
            for run in _runs(found.records[start:], body):
                _add(found.runs, replace(run, start=run.start + start, end=run.end + start))
        else:
            format_ = format_ or _of_lines(body, before)
            context = format_.context(body)
            _split(found, format_.split(body))
            # without records, too: what its head says counts
            _add(found.runs, Run(start, len(found.records), format_, context))
    except MalformedBody as exc:
        found.fault = found.fault or exc
    except Exception as exc:  # noqa: BLE001 - a fault in a format must cost this body only; its bytes are kept
        name = format_.name if format_ else AUTO
        found.fault = found.fault or MalformedBody(
            f"splitting body: {type(exc).__name__}: {exc}", where=f"format {name}"
        )
        end = found.runs[-1].end if found.runs else 0
        if end < len(found.records) or not found.runs:
            _add(found.runs, Run(end, len(found.records), format_, why="recognising it failed"))


def _add(runs: list[Run], run: Run) -> None:
    """Add a run; one of the same kind as the last is its continuation."""
    if runs and replace(runs[-1], start=run.start, end=run.end) == run:
        runs[-1] = replace(runs[-1], end=run.end)
    else:
        runs.append(run)


def _split(found: Unpacked, records: Iterator[bytes]) -> None:
    """Take the records before a fault, and the fault."""
    try:
        found.records.extend(records)
    except MalformedBody as exc:
        found.fault = found.fault or exc


def _of_lines(body: bytes, before: str) -> Format:
    """The format of a body that is no JSON.

    Raises:
        MalformedBody: Nobody can tell it.
    """
    known = recognise(body)
    if not known and before:
        known = [before]
    if found := only(known):
        return found
    raise MalformedBody(f"recognising body: {uncertainty(known)}", mend="name the format of this source")


def _runs(records: list[bytes], body: bytes) -> list[Run]:
    """The records by their formats."""
    contexts: dict[str, Context] = {}
    runs: list[Run] = []
    for ordinal, record in enumerate(records):
        known = formats_of(record)
        format_ = only(known)
        why = "" if format_ else uncertainty(known)
        if runs and runs[-1].format is format_ and runs[-1].why == why:
            runs[-1] = replace(runs[-1], end=ordinal + 1)
            continue
        if format_ and format_.name not in contexts:
            contexts[format_.name] = format_.context(body)
        context = contexts[format_.name] if format_ else ()
        runs.append(Run(ordinal, ordinal + 1, format_, context, why))
    return runs
