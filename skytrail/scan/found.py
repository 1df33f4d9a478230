"""What a scan finds, as it travels from the process that evaluated a piece to the one that writes.

Ordinals are those within a piece until the writing process adds what came before it in the same file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from detectors.correlation.state import Signal
from detectors.rule import Rule

MOST_NAMED = 20  # refused records of one piece that are named; the others are counted


class Match(msgspec.Struct, frozen=True, array_like=True):
    """One rule matched one record.

    Attributes:
        rule: Place of the rule in the list that the scan was given.
        ordinal: Place of the record, from 0.
        uid: The record's uid; without its repeat where `by_leaf`.
        by_leaf: The record has no id of its own, so identical ones before it in the file belong to the uid.
        at: `@timestamp`; None where the record could not be normalised.
        principal: For people.
        member: What an alert counts once.
        group_key: What an alert folds on.
        entry: JSON text of the timeline entry, where one was asked for.
        namespace: Of the archive it lies in; of a file, `default`.
        alert: Id of the alert, of a correlation alone.
    """

    rule: int
    ordinal: int
    uid: str
    by_leaf: bool
    at: str | None
    principal: str
    reason: str
    member: str
    group_key: str
    entry: str = ""
    namespace: str = ""
    alert: str = ""


class Traced(msgspec.Struct, frozen=True, array_like=True):
    """A signal for a correlation, and the record it comes from; other attributes as in `Match`."""

    ordinal: int
    uid: str
    by_leaf: bool
    signal: Signal
    entry: str = ""


class Refusal(msgspec.Struct, frozen=True, array_like=True):
    """A record that could not be evaluated, or only partly: without its normalised fields; and why."""

    ordinal: int
    why: str
    partly: bool


class Part(msgspec.Struct, frozen=True, array_like=True):
    """Some of what a piece held; the last part of a piece has the counts.

    Attributes:
        last: No more of this piece follows.
        events: Records in the piece.
        refused: Records that no rule has seen.
        undated: Records that rules have seen only as the vendor wrote them, because normalising refused them.
        named: Some of these records.
        fault: Why the rest of the piece could not be read.
        unknown: The fault is that no format knows the file.
        raised: Rule id → records on which it raised.
        signals: For correlations.
    """

    matches: tuple[Match, ...] = ()
    last: bool = False
    events: int = 0
    refused: int = 0
    undated: int = 0
    named: tuple[Refusal, ...] = ()
    fault: str = ""
    unknown: bool = False
    raised: Mapping[str, int] = {}
    signals: tuple[Traced, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """One rule matched one record of one file, or a correlation was completed by it.

    Attributes:
        record: Ordinal of the record in the file, from 0.
    """

    rule: Rule
    file: str
    record: int
    uid: str
    match: Match
