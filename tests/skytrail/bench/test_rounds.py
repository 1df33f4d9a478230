"""Measuring in turns."""

import gc

from skytrail.bench.rounds import Contender, best_of


class Weather:
    """A clock that each piece of work moves by what it costs, more in bad rounds."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.ran: list[str] = []

    def work(self, name: str, costs: list[float]) -> Contender:
        left = list(costs)

        def run() -> None:
            self.ran.append(name)
            self.seconds += left.pop(0)

        return Contender(name, run)


def test_the_best_round_counts_and_the_first_does_not() -> None:
    weather = Weather()
    best = best_of(
        [weather.work("a", [0.1, 3, 2, 4]), weather.work("b", [0.2, 7, 9, 8])], 3, clock=lambda: weather.seconds
    )
    assert {name: round(seconds, 6) for name, seconds in best.items()} == {"a": 2, "b": 7}


def test_contenders_take_turns_and_change_places() -> None:
    weather = Weather()
    best_of([weather.work("a", [1] * 4), weather.work("b", [1] * 4)], 3, clock=lambda: weather.seconds)
    assert "".join(weather.ran) == "abbaabba"


def test_progress_is_told_to_the_end_and_garbage_collection_is_as_before() -> None:
    frozen = gc.get_freeze_count()
    told: list[tuple[int, int]] = []
    best_of([Contender("a", lambda: None)], 2, tell=lambda done, all_: told.append((done, all_)))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert gc.get_freeze_count() == frozen
