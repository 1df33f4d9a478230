"""Any one byte of any artefact that is changed, gone or doubled is found, in the artefact where it happened.

A sample by default, the same in every run; every byte with `--exhaustive` (some 70,000: half an hour on one core).
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import pytest

from storage.verify.findings import Finding, Grade, Kind
from storage.verify.ledger.notes import parse_vkey
from storage.verify.ledger.pins import Pins
from tests.storage.verify.mutations.memory import Memory
from tests.storage.verify.mutations.subject import SEG, Subject, subject

pytestmark = pytest.mark.timeout(7200)  # every byte of one artefact takes minutes
SAMPLE = 24
"""Positions of each artefact, besides its first and last byte."""
_VARIANTS = ("changed", "gone", "doubled")
_KINDS = {
    "seg": {Kind.ALTERED, Kind.MISSING, Kind.INSERTED, Kind.TRUNCATED},
    "obj": {Kind.ALTERED},
    "log": {Kind.ALTERED, Kind.SIG, Kind.INSERTED, Kind.MISSING, Kind.ROLLBACK, Kind.TRUNCATED, Kind.SPLIT_VIEW},
    "anchor": {Kind.ALTERED, Kind.SIG, Kind.INSERTED},
}
"""What a change of bytes is, by the folder of the artefact."""
_FOLLOWS = {"seg": {Kind.DUPLICATE, Kind.GAP}}
"""What may be told besides: an offset in a manifest that is another one covers others twice, or none."""


def artefact(key: str) -> str:
    """A name of the artefact that is the same in every run: without the hashes of what was made at random."""
    return re.sub(r"(?<=[-/])[0-9a-f]{16,64}(?=\.|$)", "*", key.replace(SEG, "seg/"))


ARTEFACTS = {artefact(key): key for key in subject().archive}


def spoilt(body: bytes, at: int, how: str, rng: random.Random) -> bytes:
    match how:
        case "changed":
            return body[:at] + bytes([body[at] ^ (1 << rng.randrange(8))]) + body[at + 1 :]
        case "gone":
            return body[:at] + body[at + 1 :]
        case _:
            return body[: at + 1] + body[at:]


def positions(size: int, rng: random.Random, *, every: bool) -> Iterator[tuple[int, str]]:
    if every:
        yield from ((at, "changed") for at in range(size))
    chosen = {0, size - 1, *rng.sample(range(size), min(SAMPLE, size))}
    yield from ((at, _VARIANTS[number % 3]) for number, at in enumerate(sorted(chosen)))


def is_named(key: str, finding: Finding) -> bool:
    """Whether a finding is about an artefact: by its key, or by the number of its segment."""
    numbered = re.match(re.escape(SEG) + r"([0-9]{12})", key)
    return finding.key == key or (numbered is not None and finding.seq == int(numbered[1]))


def test_the_archive_that_is_spoilt_is_clean():
    whole: Subject = subject()
    findings, summary = whole.findings(whole.archive)
    assert (findings, summary.ok) == ([], True)
    assert (summary.segments, summary.objects, summary.entries, summary.checkpoints) == (3, 1, 8, 4)
    endings = {re.sub(r".*[/.-]", "", re.sub(r"/[0-9p.]+$", "/tile", key)) for key in whole.archive}
    assert {"json", "leaves", "headers", "ndz", "tsr", "checkpoint", "tile"} <= endings


@pytest.mark.parametrize("name", sorted(ARTEFACTS))
def test_a_byte_of_an_artefact(name: str, request: pytest.FixtureRequest):
    whole, key = subject(), ARTEFACTS[name]
    original = whole.archive[key]
    if not original:
        pytest.fail(f"{key} is empty")
    rng = random.Random(name)
    for at, how in positions(len(original), rng, every=request.config.getoption("--exhaustive")):
        body = spoilt(original, at, how, rng)
        if body == original:
            continue
        findings, summary = whole.findings(Memory(whole.archive | {key: body}))
        tampered = [finding for finding in findings if finding.grade is Grade.TAMPERED]
        what = f"{key} byte {at} {how}: {original[max(0, at - 16) : at + 16]!r} {findings}"
        assert summary.tampered, what
        named = [finding for finding in tampered if is_named(key, finding)]
        assert named, what
        folder = key.split("/")[1]
        assert {finding.kind for finding in named} & _KINDS[folder], what
        assert {finding.kind for finding in named} <= _KINDS[folder] | _FOLLOWS.get(folder, set()), what


@pytest.mark.parametrize("which", ["keys", "witnesses"])
def test_a_byte_of_a_pinned_key_is_refused_or_makes_it_another_key(which: str, request: pytest.FixtureRequest):
    whole = subject()
    text = str(getattr(whole.pins, which)[0]).encode()
    rng = random.Random(which)
    refused = 0
    for at, how in positions(len(text), rng, every=request.config.getoption("--exhaustive")):
        try:
            key = parse_vkey(spoilt(text, at, how, rng).decode())
        except ValueError:
            refused += 1
            continue
        findings, summary = whole.findings(whole.archive, Pins(**{which: (key,)}))
        assert not summary.ok, (at, how, findings)
    assert refused > SAMPLE / 2  # the id in it covers name and key
