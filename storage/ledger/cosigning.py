"""Asks a witness of the C2SP protocol for its cosignature.  https://c2sp.org/tlog-witness."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum

import msgspec

from ingest.schema.errors import ConfigError
from storage.ledger.checkpoint import TreeHead
from storage.ledger.note import Signature, parse_line
from storage.ledger.posting import Post
from storage.ledger.signing import COSIGNATURE, ED25519, VerifierKey, parse_vkey
from storage.ledger.witness import TEXT_TYPE, encode_submission

_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")
_ASKS = 3  # a race with another worker of ours may change the size once more
_OK, _CONFLICT = 200, 409


class Outcome(StrEnum):
    """How a witness or an authority answered."""

    GIVEN = "given"
    AWAY = "away"
    UNKNOWN_TO_IT = "unknown_to_it"
    """It does not know this log or its key."""
    AHEAD = "ahead"
    """It has seen a longer log than we have: ours was set back, or this checkpoint is not the newest any more."""
    OTHER_HISTORY = "other_history"
    """It has seen another log under this name."""
    BROKEN = "broken"
    """Its answer is none."""
    REFUSED = "refused"


class Declined(msgspec.Struct, frozen=True):
    """Why there is no cosignature or stamp."""

    outcome: Outcome
    detail: str


Prove = Callable[[int, int], Awaitable[Sequence[bytes]]]
"""The proof that the log of the second size goes on from that of the first."""


def witness_key(name: str, vkey: str) -> VerifierKey:
    """The key of a witness's cosignatures; its verifier key may be written with the type of a log's key, too.

    Args:
        name: Ours for the witness.
        vkey: As in the settings.

    Raises:
        ConfigError: It is no key of a witness.
    """
    try:
        key = parse_vkey(vkey)
        wrong = "" if key.algorithm in {COSIGNATURE, ED25519} else "it is of another type than 0x04 and 0x01"
    except ValueError as exc:
        wrong = str(exc)
    if wrong:
        raise ConfigError(
            f"reading the verifier key of the witness {name}: {wrong}",
            where=f"ledger.witnesses.{name}.vkey",
            mend="`skytrail witness init` prints it on the side of the witness",
        )
    return VerifierKey(key.name, COSIGNATURE, key.public)


class WitnessClient:
    """A witness that we ask.

    Args:
        name: Ours for it.
        url: Submission prefix.
        key: Verifies its cosignatures.
        post: The way to it.
    """

    def __init__(self, name: str, url: str, key: VerifierKey, post: Post) -> None:
        self.name = name
        self.key = key
        self._url = url.rstrip("/") + "/add-checkpoint"
        self._post = post
        self._sizes: dict[str, int] = {}

    async def cosign(self, text: str, head: TreeHead, checkpoint: bytes, prove: Prove) -> Signature | Declined:
        """Ask for a cosignature.

        Args:
            text: Text of the checkpoint.
            head: The same, read.
            checkpoint: The same, signed by the log.
            prove: Makes the proof from the size that the witness knows.
        """
        for _ in range(_ASKS):
            old = min(self._sizes.get(head.origin, 0), head.size)
            try:
                body = encode_submission(old, await prove(old, head.size), checkpoint)
                reply = await self._post(self._url, body, TEXT_TYPE)
            except OSError as exc:
                return Declined(Outcome.AWAY, str(exc))
            if reply.status == _OK:
                return self._read(text, head, reply.body)
            size = _SIZE.fullmatch(reply.body)
            if reply.status != _CONFLICT or size is None:
                return _declined(reply.status)
            known = int(size[1])
            if known == old:
                return Declined(Outcome.OTHER_HISTORY, f"it has another log of {known} entries under this name")
            self._sizes[head.origin] = known
            if known > head.size:
                return Declined(Outcome.AHEAD, f"it has seen {known} entries, and we have {head.size}")
        return Declined(Outcome.AHEAD, "the log it knows grows faster than we can ask")

    def _read(self, text: str, head: TreeHead, body: bytes) -> Signature | Declined:
        """Its own signature among those in the answer; others are of no use to us."""
        try:
            lines = body.decode("utf-8").splitlines()
            signatures = [parse_line(line) for line in lines]
        except ValueError as exc:
            return Declined(Outcome.BROKEN, str(exc))
        for signature in signatures:
            if self.key.verifies(text, signature):
                self._sizes[head.origin] = head.size
                return signature
        return Declined(Outcome.BROKEN, "no cosignature of the key in the settings is in its answer")


def _declined(status: int) -> Declined:
    match status:
        case 403 | 404:
            return Declined(Outcome.UNKNOWN_TO_IT, f"HTTP {status}: give it the verifier key: `skytrail keys list`")
        case 409 | 422:
            return Declined(Outcome.OTHER_HISTORY, f"HTTP {status}: our log does not go on from what it has seen")
        case _:
            return Declined(Outcome.AWAY, f"HTTP {status}")
