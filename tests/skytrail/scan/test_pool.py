"""Processes side by side: order, bounds, death, and that none is left."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import psutil
import pytest

from skytrail.scan import pool as pool_module
from skytrail.scan.found import Match, Part
from skytrail.scan.pieces import Piece
from skytrail.scan.pool import Pool


def match(ordinal: int) -> Match:
    return Match(0, ordinal, "uid", by_leaf=False, at=None, principal="", reason="", member="", group_key="")


class Slow:
    """Takes as many hundredths of a second as the piece has bytes; a piece named `die` kills its process."""

    def evaluate(self, piece: Piece) -> Iterator[Part]:
        if piece.file == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(len(piece.body) / 100)
        for ordinal in range(piece.size):
            yield Part((match(ordinal),))
        yield Part(last=True, events=piece.source)


def test_parts_come_in_the_order_of_the_pieces_however_long_each_takes() -> None:
    pieces = [Piece(n, str(n), size=3, body=b"x" * (20 - n)) for n in range(20)]
    with Pool(Slow, 3) as pool:
        found = [(piece.source, [m.ordinal for m in part.matches], part.last) for piece, part in pool.run(pieces)]
    expected = [(n, [o], False) for n in range(20) for o in range(3)]
    assert [row for row in found if not row[2]] == expected
    assert [row[0] for row in found if row[2]] == list(range(20))


def test_a_process_that_dies_costs_its_piece_only_and_is_told() -> None:
    names = ["a", "die", "b", "die", "c"]
    with Pool(Slow, 2) as pool:
        last = [(p.file, part.fault) for p, part in pool.run([Piece(n, f) for n, f in enumerate(names)]) if part.last]
    assert [file for file, _ in last] == names
    assert [bool(fault) for _, fault in last] == [False, True, False, True, False]
    assert "signal 9" in last[1][1]


def test_closing_in_the_middle_leaves_no_process() -> None:
    with Pool(Slow, 2) as pool:
        pids = pool.pids
        run = pool.run(Piece(n, str(n), body=b"x" * 200) for n in range(1000))
        next(run)
        assert all(map(psutil.pid_exists, pids))
        run.close()
    assert not any(map(psutil.pid_exists, pids))


def test_few_pieces_are_taken_ahead_of_the_earliest_that_is_not_done() -> None:
    taken = []

    def source() -> Iterator[Piece]:
        for number in range(50):
            taken.append(number)
            yield Piece(number, str(number), body=b"x" * (50 if number == 0 else 0))

    with Pool(Slow, 2) as pool:
        next(pool.run(source()))
    assert len(taken) <= 2 * pool_module.AHEAD + 2


def test_matches_that_wait_for_an_earlier_piece_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "MOST_WAITING", 10)
    pieces = [Piece(0, "slow", body=b"x" * 100), Piece(1, "many", size=50_000), Piece(2, "last")]
    with Pool(Slow, 2) as pool:
        run = pool.run(pieces)
        piece, _ = next(run)
        waiting = sum(len(part.matches) for parts in pool._parts.values() for part in parts)
        rest = list(run)
    assert piece.file == "slow"
    assert waiting <= 12
    assert sum(len(part.matches) for _, part in rest) == 50_000
