"""Whatever an entry says that the log really signed, the verifier ends with a verdict: no error, no endless memory.

Whoever has the keys can sign anything. A sample by default; every field with every value with `--exhaustive`.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from storage.verify.findings import Kind
from tests.storage.verify.mutations import changes
from tests.storage.verify.mutations.subject import subject

pytestmark = pytest.mark.timeout(3600)
SAMPLE = 250
Path = tuple[str | int, ...]
VALUES: list[Any] = [
    *(None, True, -1, 0, 1.5, 10**9, 10**30, "", "x", [], {}, [1], {"a": 1}),
    *("0001-01-01T00:00:00", "9999-12-31T23:59:59.999999Z", "2026-03-01T12:00:00.000000Z"),
]


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Of every field of a document, itself included."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        yield from paths(each, (*path, name))


def changed(document: Any, path: Path, value: Any) -> bytes:
    """A document with another value in one place."""
    if not path:
        return changes.canonical(value)
    whole = copy.deepcopy(document)
    inner = whole
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return changes.canonical(whole)


def forged(index: int, entry: bytes) -> Any:
    """The archive with another entry, everything made anew and signed with the real keys."""
    whole = subject()
    parts = changes.entries_of(whole.archive)
    parts[index] = entry
    return changes.with_tiles(whole.archive, parts, whole.signers, int(whole.now.timestamp()))


def test_any_value_in_any_field_ends_with_a_verdict(request: pytest.FixtureRequest):
    documents = [json.loads(entry) for entry in changes.entries_of(subject().archive)]
    cases = [(n, path, value) for n, each in enumerate(documents) for path in paths(each) for value in VALUES]
    if not request.config.getoption("--exhaustive"):
        cases = random.Random(6).sample(cases, SAMPLE)
    for index, path, value in cases:
        entry = changed(documents[index], path, value)
        findings, summary = subject().findings(forged(index, entry))
        assert len(findings) < 50, (index, path, value)
        assert bool(findings) != summary.ok, (index, path, value)


@pytest.mark.parametrize(
    ("kind", "field", "value", "expected"),
    [
        ("segment", "seq", 10**9, Kind.MISSING),
        ("segment", "seq", 10**30, Kind.MISSING),
        ("heartbeat", "at", "9999-12-31T23:59:59.999999Z", Kind.GAP),
        ("heartbeat", "at", "0001-01-01T00:00:00", Kind.ALTERED),
        ("segment", "sealed_at", "today", Kind.ALTERED),
        ("config", "at", None, Kind.ALTERED),
        ("heartbeat", "v", 2, Kind.UNCHECKED),
        ("segment", "v", 4, Kind.UNCHECKED),
    ],
)
def test_a_number_or_time_out_of_all_bounds_and_an_unknown_version(
    kind: str, field: str, value: object, expected: Kind
):
    documents = [json.loads(entry) for entry in changes.entries_of(subject().archive)]
    index = max(n for n, each in enumerate(documents) if each["type"] == kind)
    findings, _ = subject().findings(forged(index, changed(documents[index], (field,), value)))
    assert (expected, index) in {(finding.kind, finding.entry) for finding in findings}
