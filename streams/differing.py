"""Where a stored document differs from the one that the archive makes of the same record. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from storage.index.bulk import Mend
from storage.index.documents import serialise
from storage.index.search import Hit
from streams.rebuilding import Rebuilt

_MENDED = "changed to fit the index: "
OF_EVERY_VERSION = frozenset(
    {"event.hash", "event.original", "skytrail.format", "skytrail.integrity.leaf_hash", "skytrail.uid"}
)
"""Fields that every version of Skytrail makes alike."""
OF_EVERY_KEY = OF_EVERY_VERSION - {"event.original"}
"""Fields that are the same under pseudonyms."""


def differences(expected: Rebuilt, document: dict[str, Any], hit: Hit, mend: Mend) -> list[str]:
    """Names of the fields in which a stored document is not as the archive makes it.

    Args:
        expected: What the archive makes.
        document: Its document, under the pseudonyms that the stored one has.
        hit: The stored one.
        mend: Changes a document to fit the index, as the writer does.
    """
    wanted, found = dict(document), dict(hit.source)
    if hit.id == expected.second_id:
        wanted["skytrail"] = {**wanted["skytrail"], "equivocation_of": expected.id}
    stamp = found["skytrail"].get("retention") if isinstance(found.get("skytrail"), dict) else None
    if stamp is None or stamp in expected.stamps:  # it was indexed before stamps, or before a policy was known
        wanted["skytrail"] = {**wanted["skytrail"], "retention": stamp}
    wanted["event"] = {**wanted["event"], "ingested": found.get("event", {}).get("ingested")}
    if (reason := _mending(found)) is not None and (mended := mend(serialise(wanted), reason)) is not None:
        wanted = orjson.loads(mended)
    return list(_differing(wanted, found, ""))


def _differing(wanted: Any, found: Any, path: str) -> Iterator[str]:
    if isinstance(wanted, dict) and isinstance(found, dict):
        for name in sorted(wanted.keys() | found.keys()):
            yield from _differing(wanted.get(name), found.get(name), f"{path}.{name}".lstrip("."))
    elif wanted != found or type(wanted) is not type(found):
        yield path


def _mending(source: Mapping[str, Any]) -> str | None:
    """Why the writer changed a document to fit the index; None where it did not."""
    error = source.get("error")
    told = error.get("message") if isinstance(error, dict) else None
    last = told[-1] if isinstance(told, list) and told else None
    return last.removeprefix(_MENDED) if isinstance(last, str) and last.startswith(_MENDED) else None


def version_of(source: Mapping[str, Any]) -> tuple[Any, Any]:
    """Which code made a document."""
    skytrail, observer = source.get("skytrail"), source.get("observer")
    return (
        skytrail.get("format_version") if isinstance(skytrail, dict) else None,
        observer.get("version") if isinstance(observer, dict) else None,
    )
