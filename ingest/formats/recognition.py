"""Finds out of which format a record or a body is, from its content alone. Pure.

No answer depends on the order of formats or of records: every format that may be meant is asked, and only one may say
yes. The cost of a record is bounded: its bytes are searched once for the marks of every format, and only formats with a
mark in it look closer.
"""

from __future__ import annotations

import functools
import string
from collections.abc import Mapping, Sequence
from typing import Final

from ingest.formats.contract import Format
from ingest.formats.registry import all_formats, format_named
from ingest.parsing.json_slices import is_json, split_objects
from ingest.schema.errors import ConfigError, MalformedBody

AUTO: Final = "auto"
"""In the place of a format's name: each record's own."""
SAMPLES: Final = (2 * 1024, 16 * 1024, 64 * 1024)
"""Bytes of the beginning that must tell. A few records do, nearly always; more cost more in each format."""

_LOWER = bytes.maketrans(string.ascii_uppercase.encode(), string.ascii_lowercase.encode())


def chosen(name: str) -> Format | None:
    """The format that a setting or an option names; None for `auto`.

    Raises:
        ConfigError: There is no such format.
    """
    return None if name == AUTO else format_named(name)


def of_source(name: str) -> Format | None:
    """The format that a source is to have; None for `auto`.

    Raises:
        ConfigError: There is no such format, or no source may bring it.
    """
    format_ = chosen(name)
    if format_ and format_.own:
        raise ConfigError(f"choosing format: {name} is what Skytrail writes about itself; no source may bring it")
    return format_


def formats_of(record: bytes) -> list[str]:
    """Names of the formats that a record may be of; one, unless nobody can tell."""
    if not is_json(record):
        return recognise(record)
    folded = record.translate(_LOWER, b"_-")
    asked = [
        format_
        for marks, formats in _by_marks().items()
        if not marks or any(mark in folded for mark in marks)
        for format_ in formats
    ]
    return sorted(format_.name for format_ in asked if format_.claims(record))


@functools.cache
def _by_marks() -> Mapping[tuple[bytes, ...], Sequence[Format]]:
    """The formats by their marks, so that those of one vendor are looked for once."""
    found: dict[tuple[bytes, ...], list[Format]] = {}
    for format_ in all_formats().values():
        found.setdefault(tuple(format_.marks), []).append(format_)
    return found


@functools.cache
def list_keys() -> tuple[str, ...]:
    """Keys under which any format has its records in a JSON body."""
    return tuple(sorted({key for format_ in all_formats().values() for key in format_.list_keys}))


def recognise(beginning: bytes) -> list[str]:
    """Names of the formats that the beginning of a body may be of; one, unless nobody can tell."""
    known: list[str] = []
    for size in SAMPLES:
        known = [name for name, format_ in all_formats().items() if format_.recognise(beginning[:size])]
        if len(known) == 1 or len(beginning) <= size:
            break
    if len(known) > 1:  # lines of several formats: the first line decides, and others are told record by record
        line = beginning.lstrip().partition(b"\n")[0]
        first = [name for name in known if all_formats()[name].recognise(line)]
        return first if len(first) == 1 else known
    return known


def is_empty(body: bytes) -> bool:
    """Whether a body of no recognised format has no records: it is blank, `[]`, or a wrapper of an empty list."""
    if len(body) > SAMPLES[0] or not body.strip():
        return not body.strip()
    try:
        return next(split_objects(body, list_keys()), None) is None
    except MalformedBody:
        return False


def only(known: Sequence[str]) -> Format | None:
    """The one format of these that a source may bring; None where there is none, or more than one."""
    found = format_named(known[0]) if len(known) == 1 else None
    return None if found and found.own else found


def uncertainty(known: Sequence[str]) -> str:
    """Why something has no one format that a source may bring."""
    if len(known) == 1:
        return f"it looks like {known[0]}, which no source may bring"
    return f"it looks like {' and like '.join(known)}" if known else "no format recognises it"


def doubt(known: Sequence[str]) -> str:
    """The same, for someone who can name the format."""
    return f"choosing format: {uncertainty(known)}; give --format"
