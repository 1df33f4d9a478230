"""Finds out of which format a file is. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ingest.formats.registry import all_formats

SAMPLES: Final = (2 * 1024, 16 * 1024, 64 * 1024)
"""Bytes of the beginning that must tell. A few records do, nearly always; more cost more in each format."""


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


def doubt(known: Sequence[str]) -> str:
    """Why a file has no one format."""
    why = f"it looks like {' and like '.join(known)}" if known else "no format recognises it"
    return f"choosing format: {why}; give --format"
