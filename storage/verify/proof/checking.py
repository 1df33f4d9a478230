"""Checks the proof of one record offline: from its bytes to the signatures, with pinned keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from storage.verify.ledger.notes import Checkpoint, VerifierKey, as_witness, time_of
from storage.verify.ledger.pins import Pins
from storage.verify.ledger.signatures import signed_by
from storage.verify.ledger.stamps import stamp_time
from storage.verify.ledger.tree import leaf_hash, root_by_path
from storage.verify.proof.document import Proof
from storage.verify.reading import canonical


@dataclass(slots=True)
class Checked:
    """What a proof is worth.

    Attributes:
        wrong: What is wrong with it, in words; nothing where it holds.
        keys: Pinned keys of the log that signed.
        cosigned: Pinned witnesses that cosigned, and when, POSIX seconds.
        stamped: Names of time stamps of pinned authorities, and their time, POSIX seconds.
        unchecked: What could not be checked, because nothing was pinned for it.
    """

    wrong: list[str] = field(default_factory=list)
    keys: list[VerifierKey] = field(default_factory=list)
    cosigned: dict[str, int] = field(default_factory=dict)
    stamped: dict[str, float] = field(default_factory=dict)
    unchecked: list[str] = field(default_factory=list)


def check_proof(proof: Proof, pins: Pins, record: bytes | None = None) -> Checked:
    """Check everything that a proof says.

    Args:
        proof: See `Proof`.
        pins: A key of the log at least; witnesses and authorities that must be in it.
        record: The record that it shall be about; None for the one that is in it, or for its leaf alone.
    """
    checked = Checked()
    checked.wrong.extend(_included(proof, record))
    check_checkpoint(proof.ledger.checkpoint, proof.stamps, pins, checked)
    return checked


def check_checkpoint(checkpoint: Checkpoint, stamps: Sequence[tuple[str, bytes]], pins: Pins, checked: Checked) -> None:
    """Check who vouches for a checkpoint: keys of the log, witnesses, time stamps; brings `checked` up to date."""
    pinned = pins.of(checkpoint.origin)
    checked.keys.extend(key for key in pinned if signed_by(checkpoint, key))
    if not checked.keys:
        whose = "no pinned key" if pinned else f"none: no key of {checkpoint.origin} is pinned"
        checked.wrong.append(f"the checkpoint is signed by {whose}")
    known = {(key.name, key.key_id): key for key in map(as_witness, pins.witnesses)}
    for signature in checkpoint.signatures:
        witness = known.pop((signature.name, signature.key_id), None)
        if witness is None:
            continue
        if witness.signed(checkpoint, signature):
            checked.cosigned[witness.name] = time_of(signature)
        else:
            checked.wrong.append(f"the cosignature of {witness.name} is wrong")
    checked.wrong.extend(f"not cosigned by {name}" for name, _ in known)
    _stamps(checkpoint, stamps, pins, checked)


def _included(proof: Proof, record: bytes | None) -> Iterator[str]:
    """Record → segment → ledger → root of the checkpoint."""
    manifest, ledger = proof.manifest, proof.ledger
    leaves = [proof.leaf_of(each) for each in (record, proof.record) if each is not None]
    if None in leaves:
        yield "the record can't be compared: the proof has no opening, and its segment is encrypted"
    elif any(leaf != proof.leaf for leaf in leaves):
        yield "the record is another one than was sealed"
    number = leaf_number(manifest["positions"], proof.offset, proof.index)
    if number is None:
        yield "the segment has no record at this place"
        return
    root = root_by_path(proof.leaf, number, manifest["n"], proof.path)
    if root is None or root.hex() != manifest["root"]:
        yield "the record is not in the segment at this place"
    entry = leaf_hash(canonical(manifest))
    if root_by_path(entry, ledger.index, ledger.checkpoint.size, ledger.path) != ledger.checkpoint.root:
        yield "the manifest is not in the ledger"
    namespace = ledger.checkpoint.origin.split("/")[-2:-1]
    if namespace != [manifest["namespace"]]:
        yield "the ledger is that of another namespace"


def leaf_number(positions: list[list[int]], offset: int, index: int) -> int | None:
    """Number of a record in its segment.

    Args:
        positions: Runs of a manifest: first offset, messages, records in each of them.
        offset: Of the message.
        index: Of the record in it.
    """
    before = 0
    for first, messages, records in positions:
        if first <= offset < first + messages:
            return before + (offset - first) * records + index if index < records else None
        before += messages * records
    return None


def _stamps(checkpoint: Checkpoint, stamps: Sequence[tuple[str, bytes]], pins: Pins, checked: Checked) -> None:
    for name, reply in stamps:
        time, kind, wrong = stamp_time(reply, checkpoint.raw, pins.authorities)
        if kind is None and time is not None:
            checked.stamped[name] = time
        elif time is not None and not pins.authorities:
            checked.unchecked.append(f"time stamp {name}: {wrong}")
        else:
            checked.wrong.append(f"time stamp {name}: {wrong}")
    if pins.authorities and not stamps:
        checked.wrong.append("there is no time stamp in it")
