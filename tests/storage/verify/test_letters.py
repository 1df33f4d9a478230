"""A whole body that was taken away is found by the dead letter that names it, in the clear and encrypted."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.schema.dead_letter import DeadLetter, encode
from storage.archive.contents import of_letter
from storage.archive.objects import put_object
from storage.archive.sealer import PartitionSealer
from storage.settings import ArchiveSettings
from storage.verify.archive import examine
from storage.verify.findings import Finding, Grade, Kind
from storage.verify.letters import holds_letters, object_of
from storage.verify.places import Directory
from storage.verify.scope import Scope
from streams.topics import DEAD_LETTERS, raw_topic
from tests.storage.archive.samples import START, Clock, header, open_store
from tests.storage.datakeys.samples import Opener, made_keys


def letter(number: int, key: str) -> DeadLetter:
    return DeadLetter(
        stage="collect",
        reason="OversizedRecord",
        message=f"number {number}",
        refused_at=START,
        body=b"" if key else b"small",
        size=9_000_000 if key else 5,
        header=header(),
        object_key=key,
    )


def sealed(root: Path, *, encrypted: bool = False) -> list[str]:
    """Three letters in two segments; the first and the last have bodies of their own. Gives the keys of these."""
    store, clock = open_store(root / "archive"), Clock()
    keys = made_keys(root / "datakeys") if encrypted else None
    bodies = [put_object(store, "acme", name.encode() * 1000, keys, START) for name in ("first", "last")]
    one = PartitionSealer(store, DEAD_LETTERS, 0, ArchiveSettings(), clock, records_of=of_letter, keys=keys)
    for offset, key in enumerate((bodies[0], "", bodies[1])):
        one.add(offset, encode(letter(offset, key)))
        if offset:
            one.seal()
    return bodies


def findings(root: Path, *, encrypted: bool = False) -> list[Finding]:
    keys = Opener(made_keys(root / "datakeys")) if encrypted else None
    return list(examine(Directory(root / "archive"), Scope(keys=keys)))


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("gone", [(0,), (1,), (0, 1)])
def test_a_body_that_is_gone_is_missing_at_the_letter_that_names_it(
    tmp_path: Path, gone: tuple[int, ...], *, encrypted: bool
):
    bodies = sealed(tmp_path, encrypted=encrypted)
    assert findings(tmp_path, encrypted=encrypted) == []
    for number in gone:
        path = tmp_path / "archive" / bodies[number]
        path.unlink()
    if len(gone) == len(bodies):
        path.parent.rmdir()
    found = findings(tmp_path, encrypted=encrypted)
    assert {finding.grade for finding in found} == {Grade.TAMPERED}
    assert [(f.kind, f.namespace, f.topic, f.seq, f.offset, f.index, f.key) for f in found] == [
        (Kind.MISSING, "acme", DEAD_LETTERS, number, 2 * number, 0, bodies[number]) for number in gone
    ]


def test_the_topic_of_dead_letters_is_the_one_that_is_looked_into():
    assert holds_letters(DEAD_LETTERS)
    assert not holds_letters(raw_topic("aws.cloudtrail"))
    assert not holds_letters("")


def test_the_key_of_every_letter_is_read_without_the_code_that_wrote_it():
    key = f"acme/obj/{'ab' * 32}"
    assert object_of(encode(letter(0, key))) == key
    assert object_of(encode(letter(0, key + ".enc"))) == key + ".enc"
    assert object_of(encode(letter(0, ""))) == ""
    assert object_of(encode(letter(0, "../../etc/passwd"))) == ""


@given(
    st.binary(max_size=200) | st.dictionaries(st.text(), st.integers(0, 2**63) | st.text()).map(msgspec.msgpack.encode)
)
def test_what_is_no_letter_names_nothing(body: bytes):
    assert object_of(b"\x01" + body + b"object_key") == ""
    assert object_of(body) == ""
