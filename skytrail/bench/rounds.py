"""Measuring contenders against each other: all of them in turn, many short rounds, the best of each.

The same program runs up to twice as slow from one minute to the next on a shared machine. Contenders that take turns
meet the same weather, and the least time of many rounds is the one with the least disturbance. So ratios within one
measurement mean something; absolute figures only together with the machine.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Clock = Callable[[], float]
Work = Callable[[], object]
Tell = Callable[[int, int], None]
"""Rounds done, rounds in all."""


@dataclass(frozen=True, slots=True)
class Contender:
    """Work to be measured.

    Attributes:
        name: Unique among those measured together.
        run: Does the whole work once.
    """

    name: str
    run: Work


def best_of(
    contenders: Sequence[Contender],
    rounds: int,
    *,
    clock: Clock = time.process_time,
    tell: Tell = lambda _done, _all: None,
) -> Mapping[str, float]:
    """The least seconds each contender took, by name.

    Every round runs every contender once, each second round in reverse order, so that none always follows the same one.
    A round before the first, unmeasured, fills memos and lets the interpreter specialise. What is alive when the
    measurement begins is set aside from garbage collection; what contenders make is collected at their own cost.

    Args:
        contenders: In the order of their first round.
        rounds: At least 1.
        clock: Seconds; the CPU time of this process unless told otherwise.
        tell: Hears about progress.
    """
    best: dict[str, float] = {}
    gc.collect()
    gc.freeze()
    try:
        for number in range(rounds + 1):
            tell(number, rounds + 1)
            for contender in contenders if number % 2 == 0 else reversed(contenders):
                began = clock()
                contender.run()
                took = clock() - began
                if number > 0:
                    best[contender.name] = min(took, best.get(contender.name, took))
    finally:
        gc.unfreeze()
    tell(rounds + 1, rounds + 1)
    return best
