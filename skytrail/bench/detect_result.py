"""What a measurement of detection says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from detectors.sigma.compiled.engine import Arrangement

TIMES_INTERPRETER: Final = 12
GROWTH: Final = ((3_000, 1.5), (10_000, 2.0))
EVENTS_PER_S: Final = 200_000

Match = tuple[int, str]
"""Place of the record, id of the rule."""


@dataclass(frozen=True, slots=True)
class Row:
    """One contender.

    Attributes:
        us_per_event: CPU time, microseconds, parsing included.
        times_base: Its cost in terms of the compiled engine at the first number of rules, in the same run.
        hits: Matches on its records.
        build_ms: CPU time from parsed rules until it could take the first record.
    """

    contender: str
    rules: int
    records: int
    us_per_event: float
    events_per_s: int
    times_base: float
    hits: int | None = None
    build_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """A promise and what came out."""

    bar: str
    measured: float
    wanted: float
    kept: bool


@dataclass(slots=True)
class Result:
    """All of one run.

    Attributes:
        record_bytes: Mean size of a record.
        gate: What searched for literals.
        left_out: Titles of noisy rules → share of the sampled events they fired on.
        arrangements: Number of rules → how the engine arranged them.
        disagreements: Matches that only the interpreter or only the compiled engine has; must be empty.
    """

    records: int
    record_bytes: int
    gate: str
    left_out: Mapping[str, float]
    rows: list[Row] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    arrangements: dict[int, Arrangement] = field(default_factory=dict)
    disagreements: list[Match] = field(default_factory=list)


def bars(interpreter: float, compiled: Mapping[int, float], sizes: Sequence[int]) -> Iterator[Bar]:
    """Whether the promises are kept.

    Args:
        interpreter: Seconds per event of the plain interpreter at the first number of rules.
        compiled: Number of rules → seconds per event of the compiled engine.
        sizes: Numbers of rules, the base first.
    """
    base = sizes[0]
    unit = compiled[base]
    faster = interpreter / unit
    yield Bar(
        f"times as fast as the interpreter at {base} rules, at least",
        round(faster, 1),
        TIMES_INTERPRETER,
        faster >= TIMES_INTERPRETER,
    )
    for size, most in GROWTH:
        if size in compiled:
            ratio = compiled[size] / unit
            yield Bar(f"cost at {size} rules in terms of that at {base}, at most", round(ratio, 2), most, ratio <= most)
    rate = round(1 / unit)
    yield Bar(f"events/s of one core at {base} rules, target", rate, EVENTS_PER_S, rate >= EVENTS_PER_S)
