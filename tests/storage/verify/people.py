"""A small archive in which people have keys of their own, with all keys beside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from storage.archive import frames
from storage.archive.encryption import Cipher, location_of
from storage.archive.manifest import Manifest, canonical, digest, parse
from storage.datakeys.key import DataKey
from storage.datakeys.keys import DataKeys
from storage.ledger.entries import shred
from storage.ledger.note import Note
from storage.retention.approval import HEADING
from storage.retention.entries import Hold, entry_of, policy_entry
from storage.retention.record import Record
from tests.storage.archive.people import of_people
from tests.storage.archive.samples import TOPIC, seal_in_batches
from tests.storage.datakeys.samples import Opener, made_keys
from tests.storage.retention.people import PEOPLE, SIGNERS
from tests.storage.retention.samples import policy
from tests.storage.verify.ledger.samples import MadeArchive, writable

ACME = f"acme/seg/{TOPIC}/0"
MONTHS_LATER = 40 * 86_400
MESSAGES = 6


def with_people(root: Path) -> MadeArchive:
    """Six messages in three batches, all in the ledger: of ann, bob, a service, and bytes that are no event."""
    made = MadeArchive(root)
    made.data_keys = made_keys(root / "datakeys", now=made.clock, by_subject=True)
    seal_in_batches(made.store, of_people(MESSAGES), [1, 3], made.clock, made.data_keys)
    made.enter("acme")
    made.beat("acme", 30)
    writable(made.root)
    return made


def keys_of(made: MadeArchive) -> DataKeys:
    """As another process has them."""
    return made_keys(made.root.parent / "datakeys", now=made.clock, by_subject=True)


def table_of(made: MadeArchive) -> Path:
    """The table of subjects' keys."""
    return made.root.parent / "datakeys" / "subjects"


def opener(made: MadeArchive) -> Opener:
    """The keys as the verifier takes them."""
    return Opener(keys_of(made), subjects=table_of(made))


def key_of(made: MadeArchive, who: str) -> str:
    """The id of somebody's key."""
    (found,) = keys_of(made).of_subject("acme", who)
    return found


def announced(
    made: MadeArchive, *keys: str, holds: Sequence[Hold] = (), rules: Sequence[Mapping[str, Any]] = ({"name": "x"},)
) -> None:
    """Months later the ledger says that keys are to be destroyed: alice asked for it, and bob agreed.

    Args:
        holds: Placed just before, so against the rules.
        rules: The classes of the policies in force, one after the other.
    """
    made.clock.pass_(MONTHS_LATER)
    told = {"action": "erasure", "namespace": "acme", "reason": "R-1", "requested_by": "alice", "at": "2026-04-10"}
    told["subject"] = digest(canonical({"keys": sorted(keys), "namespace": "acme"}))
    text = f"{HEADING}\n{canonical(told).decode()}\n"
    request = Note(text, tuple(SIGNERS[name].sign(text, 0) for name in ("alice", "bob"))).encode().decode()
    approvers = ("alice", "bob")
    left = [
        *(policy_entry("acme", made.clock(), policy(dict(rule), people=PEOPLE)) for rule in rules),
        *(entry_of("acme", made.clock(), hold) for hold in holds),
        shred("acme", made.clock(), keys=keys, request=request, basis="a rule", approvers=approvers),
    ]
    Record(made.store, made.log()).enter(lambda _: [left.pop(0)] if left else [])
    writable(made.root)


def erased(made: MadeArchive, who: str) -> str:
    """Somebody is erased as it should be; gives the id of the key."""
    key = key_of(made, who)
    announced(made, key)
    keys_of(made).destroy("acme", key)
    return key


def part(made: MadeArchive, seq: int, ending: str) -> Path:
    return next(made.root.joinpath(ACME).glob(f"{seq:012d}-*{ending}"))


def manifest_of(made: MadeArchive, seq: int) -> Manifest:
    return parse((made.root / ACME / f"{seq:012d}.manifest.json").read_bytes(), "")


def month_of(made: MadeArchive) -> DataKey:
    """The month's key."""
    (entry,) = keys_of(made).table.entries("acme")
    key = keys_of(made).opened("acme", entry.id)
    assert key is not None
    return key


def parts_of(made: MadeArchive, seq: int) -> tuple[list[dict[str, Any]], list[bytes]]:
    """The groups of a body, as its index has them, and its other frames."""
    bound = location_of(manifest_of(made, seq)).bound("body")
    first, *rest = frames.unpack(Cipher(month_of(made)).open(part(made, seq, ".ndz").read_bytes(), bound, ""), "")
    return json.loads(first)["groups"], rest


def put_back(made: MadeArchive, seq: int, index: bytes, rest: list[bytes]) -> None:
    """Other frames in a body, put there by somebody who has the month's key: only the ledger is out of reach."""
    bound = location_of(manifest_of(made, seq)).bound("body")
    part(made, seq, ".ndz").write_bytes(Cipher(month_of(made)).seal(frames.pack([index, *rest]), bound))


def change(made: MadeArchive, seq: int, how: Callable[[list[dict[str, Any]], list[bytes]], None]) -> None:
    """The same, by changing what is there."""
    groups, rest = parts_of(made, seq)
    how(groups, rest)
    index = json.dumps({"groups": groups}, sort_keys=True, separators=(",", ":")).encode()
    put_back(made, seq, index, rest)


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> MadeArchive:
    return with_people(tmp_path_factory.mktemp("people"))


def copied(clean: MadeArchive, root: Path) -> MadeArchive:
    """A copy to spoil."""
    shutil.copytree(clean.root.parent, root)
    copy = MadeArchive(root)
    copy.clock.now = clean.clock.now
    return copy


@pytest.fixture
def made(clean: MadeArchive, tmp_path: Path) -> MadeArchive:
    return copied(clean, tmp_path / "copy")
