from __future__ import annotations

import datetime as dt
import itertools

import pytest

from skytrail.bench.detect import END
from skytrail.bench.detect_events import mixed
from skytrail.bench.detect_role import RoleRow, measure_role
from skytrail.bench.samples import everyday
from skytrail.demo.delivery import AUDIT, CLOUDTRAIL


@pytest.fixture(scope="module")
def rows() -> list[RoleRow]:
    given = {
        CLOUDTRAIL: mixed(600, seed=7, end=END),
        AUDIT: everyday(AUDIT, 300, seed=7, end=END),
    }
    ticking = iter(map(float, itertools.count())).__next__
    return measure_role(given, 1, END + dt.timedelta(days=1), clock=ticking)


def test_both_ways_tell_the_same_detections_and_signals(rows: list[RoleRow]) -> None:
    found: dict[tuple[str, bool], set[tuple[int, int]]] = {}
    for row in rows:
        found.setdefault((row.format, row.correlations), set()).add((row.detections, row.signals))
    assert len(rows) == 2 * len(found) == 8
    assert all(len(told) == 1 for told in found.values())


def test_something_is_detected_and_signals_need_correlations(rows: list[RoleRow]) -> None:
    trail = [row for row in rows if row.format == CLOUDTRAIL]
    assert all(row.detections > 0 for row in trail)
    assert {row.correlations: row.signals > 0 for row in trail} == {True: True, False: False}
