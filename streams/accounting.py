"""Exact accounting: what became of every record, per role and partition, surviving replays.

An account is a cumulative count with the offset up to which it counts. It is saved after the outcome of a batch is
durable and before the batch is acknowledged; a replayed message below `next_offset` is therefore never counted twice,
and one above it never missed. Pure; `streams/accounts.py` keeps accounts in Kafka.

Conservation, per source and role: received = indexed + duplicate + dead-lettered + filtered. The sealer counts what was
received on its own, so that the roles check each other.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ingest.schema.envelope import Header
from ingest.schema.errors import UnsupportedEnvelope

RECEIVED = "received"
CREATED = "created"
CONFLICT = "conflict"
DEAD_LETTERED = "dead_lettered"
FILTERED = "filtered"
SEALED = "sealed"
EVALUATED = "evaluated"
COLLECT_REFUSED = "collect_refused"
LETTERS = "letters"
# Verdicts on conflicts, counted by the resolver.
REPLAY = "replay"
DUPLICATE = "duplicate"
EQUIVOCATION = "equivocation"

KEPT_PASSES = 128
"""Raw offsets per partition of which passes are told apart: the most messages that an index worker has in one batch."""

UNREADABLE = "unreadable"
"""Namespace and format under which messages are counted that are no envelopes."""


def source_key(header: Header | None) -> str:
    """`namespace|format|collector`: the granularity of accounting."""
    if header is None:
        return f"{UNREADABLE}|{UNREADABLE}|{UNREADABLE}"
    return f"{header.namespace}|{header.format.replace('|', '_')}|{header.collector}"


class Run(msgspec.Struct, frozen=True):
    """From `first_offset` on records of a partition were evaluated by one rule set; see `streams/evaluations.py`.

    Attributes:
        version: Of the rule set.
        since: When it evaluated the first of them, ISO 8601.
        previous: First offset of the run before; None for the first that is written down.
    """

    first_offset: int
    version: str
    since: str
    previous: int | None = None


class Account(msgspec.Struct):
    """The count of one role over one partition.

    Attributes:
        next_offset: The first offset not yet counted.
        sources: source key → outcome → records.
        passes: Of the resolver: raw partition → raw offset → source → outcome → records, of the newest `KEPT_PASSES`
            raw messages: what the latest pass of the index role over each told.
        run: Of the role detect: by which rule set the newest message was evaluated.
    """

    role: str
    topic: str
    partition: int
    next_offset: int = 0
    sources: dict[str, dict[str, int]] = {}
    passes: dict[str, dict[int, dict[str, dict[str, int]]]] = {}
    run: Run | None = None

    @property
    def key(self) -> bytes:
        """Key in the compacted topic."""
        return f"{self.role}|{self.topic}|{self.partition}".encode()

    def counts(self, offset: int) -> bool:
        """Whether this message has not been counted yet."""
        return offset >= self.next_offset

    def add(self, source: str, **outcomes: int) -> None:
        """Add to the outcomes of a source."""
        counts = self.sources.setdefault(source, {})
        for outcome, number in outcomes.items():
            if number:
                counts[outcome] = counts.get(outcome, 0) + number

    def recount(self, raw_partition: str, offset: int, outcomes: Mapping[str, Mapping[str, int]]) -> None:
        """Count a raw message's outcomes in place of those of an earlier pass over it.

        An index worker that dies between telling of conflicts and saving its account makes its successor tell of the
        same records again, and more; only the last telling belongs to the account that was saved.
        """
        known = self.passes.setdefault(raw_partition, {})
        for source, before in known.pop(offset, {}).items():
            self.add(source, **{outcome: -number for outcome, number in before.items()})
        for source, counts in outcomes.items():
            self.add(source, **counts)
        known[offset] = {source: dict(counts) for source, counts in outcomes.items()}
        for old in [each for each in known if each <= offset - KEPT_PASSES]:
            del known[old]

    def counted_to(self, offset: int) -> None:
        """State that everything up to and with this offset is counted."""
        self.next_offset = max(self.next_offset, offset + 1)


_decoder = msgspec.msgpack.Decoder(Account)


def encode(account: Account) -> bytes:
    """Serialise an account."""
    return msgspec.msgpack.encode(account)


def decode(value: bytes) -> Account:
    """Read an account.

    Raises:
        UnsupportedEnvelope: The bytes are not an account.
    """
    try:
        return _decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise UnsupportedEnvelope(f"decoding account: {exc}") from exc


def merge_latest(values: list[bytes]) -> dict[tuple[str, str, int], Account]:
    """The account with the highest offset per role and partition: a stopped worker's late write never wins."""
    latest: dict[tuple[str, str, int], Account] = {}
    for value in values:
        account = decode(value)
        key = (account.role, account.topic, account.partition)
        if key not in latest or account.next_offset >= latest[key].next_offset:
            latest[key] = account
    return latest
