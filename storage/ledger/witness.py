"""A witness: cosigns the checkpoints of logs that only ever grow.  https://c2sp.org/tlog-witness. Knows no network.

For each log it keeps the newest checkpoint that it cosigned. That is replaced, by comparing and swapping, before a
cosignature leaves the house: of two requests that go on from the same size only one is answered with one. Whoever asks
for a size below it, or for another history, gets none. The first checkpoint of a log is taken on trust. Before the same
checkpoint is cosigned again, it is written again: whoever wrote it may have failed before it was durable.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from ingest.schema.errors import IntegrityError
from storage.archive.merkle import EMPTY_ROOT, consistent
from storage.ledger.checkpoint import HASH_BYTES, TreeHead, parse_head
from storage.ledger.note import Note, parse, strict_base64
from storage.ledger.signing import NoteSigner, VerifierKey

MAX_PROOF_LINES = 63
SIZE_TYPE = "text/x.tlog.size"
TEXT_TYPE = "text/plain; charset=utf-8"
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


class Answer(msgspec.Struct, frozen=True):
    """What is answered to `add-checkpoint`.

    Attributes:
        status: Of HTTP.
        outcome: The same in one word, for the log of the witness.
    """

    status: int
    outcome: str
    body: str = ""
    content_type: str = TEXT_TYPE


class Submission(msgspec.Struct, frozen=True):
    """The body of `add-checkpoint`.

    Attributes:
        old: The size from which the proof goes on.
    """

    old: int
    proof: tuple[bytes, ...]
    note: Note
    head: TreeHead


class WitnessStore(Protocol):
    """Where a witness keeps what it cosigned; an `ArchiveStore` is one."""

    def get(self, key: str) -> bytes | None:
        """See `ArchiveStore.get`."""

    def swap(self, key: str, expected: bytes | None, body: bytes) -> bool:
        """See `ArchiveStore.swap`."""


def encode_submission(old: int, proof: Sequence[bytes], checkpoint: bytes) -> bytes:
    """The body of `add-checkpoint`."""
    lines = [f"old {old}\n", *(f"{base64.b64encode(each).decode()}\n" for each in proof), "\n"]
    return "".join(lines).encode() + checkpoint


def parse_submission(body: bytes) -> Submission:
    """Read the body of `add-checkpoint`.

    Raises:
        ValueError: It is none, in words.
    """
    start, gap, checkpoint = body.partition(b"\n\n")
    first, *lines = start.decode("ascii").split("\n")
    old = _OLD.fullmatch(first)
    if not gap or not old or len(lines) > MAX_PROOF_LINES:
        raise ValueError("no old size, hashes and checkpoint behind each other")
    proof = tuple(map(strict_base64, lines))
    if any(len(each) != HASH_BYTES for each in proof):
        raise ValueError("a line of the proof is no hash")
    note = parse(checkpoint)
    return Submission(int(old[1]), proof, note, parse_head(note.text))


class Witness:
    """A witness.

    Args:
        signer: Makes its cosignatures.
        logs: Ed25519 keys of the logs that it knows; several of a log while its keys change.
        store: What it cosigned, one object per log.
        clock: Gives the present time, with zone.
    """

    def __init__(
        self,
        signer: NoteSigner,
        logs: Iterable[VerifierKey],
        store: WitnessStore,
        clock: Callable[[], dt.datetime],
    ) -> None:
        self.key = signer.key
        self._signer = signer
        self._store = store
        self._clock = clock
        self._logs: dict[str, list[VerifierKey]] = {}
        for key in logs:
            self._logs.setdefault(key.name, []).append(key)

    def add_checkpoint(self, body: bytes) -> Answer:
        """Answer a request. The checks stand in the order of the protocol.

        Raises:
            StoreUnavailable: What was cosigned can't be read or replaced; nothing was signed.
            IntegrityError: What is stored is no checkpoint.
        """
        try:
            asked = parse_submission(body)
        except ValueError:
            return Answer(400, "malformed")
        keys = self._logs.get(asked.head.origin)
        if keys is None:
            return Answer(404, "unknown log")
        if not any(key.verifies(asked.note.text, each) for key in keys for each in asked.note.signatures):
            return Answer(403, "not signed by the log")
        if asked.old > asked.head.size:
            return Answer(400, "smaller than its old size")
        return self._decide(asked)

    def _decide(self, asked: Submission) -> Answer:
        place = _place(asked.head.origin)
        raw = self._store.get(place)
        known = _stored_head(raw, place)
        if known is not None and asked.old != known.size:
            return _conflict("other size", known)
        if known is None and asked.old:
            return _conflict("nothing known yet", None)
        if known is not None and asked.head.size == known.size and asked.head.root != known.root:
            return _conflict("ANOTHER HISTORY", known)
        if not asked.head.size and asked.head.root != EMPTY_ROOT:
            return Answer(422, "not the root of nothing")
        root = b"" if known is None else known.root
        if not consistent(asked.old, root, asked.head.size, asked.head.root, asked.proof):
            return Answer(422, "not consistent")
        kept = raw if raw is not None and known == asked.head else asked.note.encode()
        if not self._store.swap(place, raw, kept):
            return _conflict("lost a race", _stored_head(self._store.get(place), place))
        line = self._signer.sign(asked.note.text, int(self._clock().timestamp())).line
        return Answer(200, "cosigned", line)


def _conflict(outcome: str, known: TreeHead | None) -> Answer:
    return Answer(409, outcome, f"{0 if known is None else known.size}\n", SIZE_TYPE)


def _stored_head(raw: bytes | None, place: str) -> TreeHead | None:
    if raw is None:
        return None
    try:
        return parse_head(parse(raw).text)
    except ValueError as exc:
        raise IntegrityError(f"reading what this witness cosigned: {exc}", where=place) from exc


def _place(origin: str) -> str:
    return f"{hashlib.sha256(origin.encode()).hexdigest()}.checkpoint"
