"""The certificate of a deletion: checked with a pinned key alone, and broken by any change."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from storage.retention.approval import Request, ask
from storage.verify.ledger.notes import parse_vkey
from storage.verify.ledger.pins import Pins
from storage.verify.places import Directory
from storage.verify.proof.certificate import (
    Certificate,
    Proven,
    check_certificate,
    make_certificate,
    parse_certificate,
)
from storage.verify.proof.making import Unprovable
from storage.verify.reading import canonical
from tests.storage.ledger.samples import keys_in
from tests.storage.retention.people import PEOPLE, SIGNERS
from tests.storage.retention.samples import moment, policy
from tests.storage.retention.test_applying import INDEX, RULE, Scene
from tests.storage.verify.test_retention import enter, stone


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    made = Scene(tmp_path)
    made.apply(made.plan())
    return made


def pins(scene: Scene) -> Pins:
    origin = scene.record().log.identity.origin
    (pair,) = keys_in(scene.root).pairs()
    return Pins(keys=tuple(parse_vkey(str(key)) for key in pair.verifier_keys(origin)))


def certified(scene: Scene, tier: str = "cold") -> Certificate:
    (id_,) = [each.id for each in scene.record().now().tombstones.values() if each.tier == tier]
    return make_certificate(Directory(scene.root / "archive"), "acme", 1, id_)


def test_it_tells_what_was_there_for_how_long_and_when_it_went(scene: Scene) -> None:
    certificate = parse_certificate(certified(scene).encode())
    checked, told = check_certificate(certificate, pins(scene))
    assert checked.wrong == []
    assert told["what"] == "2 segments of skytrail.raw.aws.cloudtrail.v1/0"
    assert (told["decision"], told["policy"], told["approved"]) == ("EXPIRE", "acme", False)
    assert told["records"] == sum(each["n"] for each in map(json.loads, (e.entry for e in certificate.entries[3:])))
    assert told["kept_until"] < told["announced_at"] <= told["destroyed_at"]


def test_an_index_is_certified_by_its_documents(scene: Scene) -> None:
    checked, told = check_certificate(certified(scene, "hot"), pins(scene))
    assert checked.wrong == []
    assert (told["what"], told["records"]) == (INDEX, 3)


def test_without_the_right_key_it_is_worth_nothing(scene: Scene) -> None:
    checked, _ = check_certificate(certified(scene), Pins())
    assert any("no key of" in wrong for wrong in checked.wrong)


@pytest.mark.parametrize("number", range(5))
def test_no_entry_of_it_can_be_changed(scene: Scene, number: int) -> None:
    value: dict[str, Any] = msgspec.json.decode(gzip.decompress(certified(scene).encode()))
    entry = bytearray(msgspec.convert(value["entries"][number]["entry"], bytes, strict=False))
    entry[entry.index(b"202") + 3] ^= 1  # another year
    value["entries"][number]["entry"] = msgspec.to_builtins(bytes(entry))
    body = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    checked, _ = check_certificate(parse_certificate(gzip.compress(body, mtime=0)), pins(scene))
    assert any("is not in the ledger" in wrong for wrong in checked.wrong)


def test_a_certificate_of_other_segments_is_refused(scene: Scene) -> None:
    certificate = certified(scene)
    for entries in (certificate.entries[:4], (*certificate.entries[:2], *certificate.entries[3:])):
        other = Certificate(certificate.checkpoint, certificate.stamps, entries)
        assert check_certificate(other, pins(scene))[0].wrong


def test_a_certificate_that_was_cut_or_has_something_after_its_end_is_none(scene: Scene) -> None:
    raw = certified(scene).encode()
    assert parse_certificate(raw)
    for other in (raw[:-1], raw[:-8], raw[: len(raw) // 2], raw + b"x", raw + raw):
        with pytest.raises(ValueError, match="cut off"):
            parse_certificate(other)


def test_what_is_not_done_yet_has_no_certificate(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    place = Directory(tmp_path / "archive")
    with pytest.raises(Unprovable, match="there is no tombstone"):
        make_certificate(place, "acme", 1, "t")
    enter(scene, stone(scene))
    with pytest.raises(Unprovable, match="not done yet"):
        make_certificate(place, "acme", 1, "t")


def test_an_approved_deletion_says_so_and_a_forged_approval_is_seen(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.adopt(policy(RULE, people=PEOPLE, approvals={"expiry": 1}))
    plan = scene.plan()
    asked = Request(
        action="expiry", namespace="acme", subject="a plan", reason="", requested_by="alice", at="2027-11-27"
    )
    enter(scene, stone(scene, request=ask(asked, SIGNERS["alice"]).decode()), moment("2027-11-27"))
    scene.apply(plan)
    (id_,) = [each for each in scene.record().now().tombstones if each == "t"]
    made = make_certificate(Directory(tmp_path / "archive"), "acme", 1, id_)
    checked, _ = check_certificate(made, pins(scene))
    assert any("without its approvals: 0 of 1 agreed" in wrong for wrong in checked.wrong)


@pytest.mark.parametrize("raw", [b"", b"no", gzip.compress(b"{}", mtime=0), gzip.compress(b"[1]", mtime=0)])
def test_what_is_no_certificate_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_certificate(raw)


NONSENSE: tuple[Any, ...] = (None, "", "soon", "2027-99-01T00:00:00.000000Z", -1, 10**30, [], {}, [[]], True)


def places_in(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a document, as what holds it and by which name or number."""
    for at in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, at
        yield from places_in(value[at])


def judged_with(certificate: Certificate, number: int, value: Any, pins: Pins) -> list[str]:
    entries = list(certificate.entries)
    entries[number] = Proven(entries[number].index, canonical(value), entries[number].path)
    checked, _ = check_certificate(Certificate(certificate.checkpoint, certificate.stamps, tuple(entries)), pins)
    return checked.wrong


@pytest.mark.parametrize("tier", ["cold", "hot"])
def test_nonsense_in_an_entry_is_said_and_never_a_failure(scene: Scene, tier: str) -> None:
    certificate, pinned = certified(scene, tier), pins(scene)
    for number, proven in enumerate(certificate.entries):
        value = json.loads(proven.entry)
        for holder, at in list(places_in(value)):
            kept = holder[at]
            for nonsense in NONSENSE:
                holder[at] = nonsense
                assert nonsense == kept or judged_with(certificate, number, value, pinned), (number, at, nonsense)
            if isinstance(holder, dict):
                del holder[at]
                assert judged_with(certificate, number, value, pinned), (number, at)
            holder[at] = kept
    deep = b'{"type":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    entries = (Proven(0, deep, ()), *certificate.entries[1:])
    other = Certificate(certificate.checkpoint, certificate.stamps, entries)
    assert any("can't be read" in why for why in check_certificate(other, pinned)[0].wrong)
