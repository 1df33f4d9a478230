"""What the raw path did, for whoever wants to know why it is slow."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Counts:
    """What happened since the start.

    Attributes:
        records: Records looked at.
        irregular: Those that went the general way.
        considered: Regular ones that no memory of quiet ones could put aside.
        parsed: Regular ones that had to be parsed as a whole.
        gate_candidates: Rules that a literal brought up for a record.
        decisions: Keys that rules were specialised for.
        values: Values that tests were evaluated on.
    """

    records: int = 0
    irregular: int = 0
    considered: int = 0
    parsed: int = 0
    gate_candidates: int = 0
    decisions: int = 0
    values: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))
