"""Which rule set saw which records: the evaluation ledger of the role detect. Pure.

A run says that from an offset of a raw partition on, records were evaluated by one rule set; it ends where the next run
begins. A run is written only when the rule set changes, so records cost nothing. It is durable before the account of
the role names it, and the account is saved before a message is acknowledged: whatever crashes, every counted message
lies in the run that really evaluated it. A run that no account came to name is superseded: runs are linked, and only
those that lead to the account's count.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from ingest.schema.envelope import Position
from ingest.schema.errors import UnsupportedEnvelope
from streams.accounting import Account, Run
from streams.rulesets import RuleSet

Answer = Literal["yes", "no", "unknown", "not yet"]
Runs = Mapping[tuple[str, int], Mapping[int, Run]]
"""What the topic holds: raw topic and partition → first offset → run."""


class _Written(msgspec.Struct, frozen=True):
    topic: str
    partition: int
    run: Run


@dataclass(frozen=True, slots=True)
class Seen:
    """Whether a rule saw a range of offsets, both ends included.

    Attributes:
        seen: `yes`; `no`: another rule set without it did; `unknown`: nothing is written down of that time, or of that
            rule set; `not yet`: no rule set has.
        version: Of the rule set.
        since: When it evaluated the first record of its run, ISO 8601.
        digest: Of the rule's content in that set.
    """

    topic: str
    partition: int
    first_offset: int
    last_offset: int
    seen: Answer
    version: str = ""
    since: str = ""
    digest: str = ""


def begin(
    accounts: Mapping[tuple[str, int], Account], places: Iterable[Position], version: str, now: str
) -> list[Account]:
    """Let accounts name the rule set that evaluated a batch, where it is another than before; gives those changed.

    Args:
        accounts: Of the partitions of the batch, before it is counted.
        places: Messages of the batch.
        version: Of the rule set.
        now: ISO 8601.
    """
    firsts: dict[tuple[str, int], int] = {}
    for place in places:
        if accounts[place.topic, place.partition].counts(place.offset):
            key = place.topic, place.partition
            firsts[key] = min(place.offset, firsts.get(key, place.offset))
    changed = []
    for key, first in firsts.items():
        account, before = accounts[key], accounts[key].run
        if before is None or before.version != version:
            account.run = Run(first, version, now, before.first_offset if before else None)
            changed.append(account)
    return changed


def encode_run(account: Account) -> tuple[bytes, bytes]:
    """Key and value of the run that an account names, for the compacted topic."""
    assert account.run is not None
    key = f"{account.topic}|{account.partition}|{account.run.first_offset}".encode()
    return key, msgspec.msgpack.encode(_Written(account.topic, account.partition, account.run))


def decode_runs(values: Iterable[bytes]) -> Runs:
    """The runs of the topic, oldest message first.

    Raises:
        UnsupportedEnvelope: The bytes are no run.
    """
    found: dict[tuple[str, int], dict[int, Run]] = {}
    for value in values:
        try:
            written = msgspec.msgpack.decode(value, type=_Written)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise UnsupportedEnvelope(f"decoding run of a rule set: {exc}") from exc
        found.setdefault((written.topic, written.partition), {})[written.run.first_offset] = written.run
    return found


def first_seen(runs: Runs) -> dict[str, int]:
    """Version of a rule set → when it first evaluated a record, ms."""
    found: dict[str, int] = {}
    for run in (run for of_partition in runs.values() for run in of_partition.values()):
        at = int(dt.datetime.fromisoformat(run.since).timestamp() * 1000)
        found[run.version] = min(at, found.get(run.version, at))
    return found


def history(account: Account, runs: Runs) -> list[Run]:
    """The runs that evaluated what an account counts, oldest first: those that are linked to the one it names."""
    known = runs.get((account.topic, account.partition), {})
    found: list[Run] = []
    run = account.run
    while run is not None:
        found.append(run)
        before = run.previous
        run = known.get(before) if before is not None and before < run.first_offset else None
    return found[::-1]


def seen_by(rule: str, account: Account, runs: Runs, sets: Mapping[str, RuleSet], span: tuple[int, int]) -> list[Seen]:
    """Whether a rule saw a span of offsets of a partition.

    Args:
        rule: Id or UUID.
        account: Of the role detect, of that partition.
        runs: See `decode_runs`.
        sets: Rule sets by version.
        span: First offset, and the one behind the last.
    """
    parts: list[Seen] = []

    def add(first: int, end: int, seen: Answer, run: Run | None = None, digest: str = "") -> None:
        low, high = max(first, span[0]), min(end, span[1])
        if low < high:
            told = (run.version, run.since) if run else ("", "")
            parts.append(Seen(account.topic, account.partition, low, high - 1, seen, *told, digest))

    linked = history(account, runs)
    ends = [*(run.first_offset for run in linked[1:]), account.next_offset][: len(linked)]
    add(0, min(linked[0].first_offset if linked else account.next_offset, account.next_offset), "unknown")
    for run, end in zip(linked, ends, strict=True):
        ruleset = sets.get(run.version)
        entry = ruleset.find(rule) if ruleset else None
        add(
            run.first_offset,
            end,
            "unknown" if ruleset is None else "yes" if entry else "no",
            run,
            entry.digest if entry else "",
        )
    add(account.next_offset, span[1], "not yet")
    return parts
