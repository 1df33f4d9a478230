"""The measurement of a takeover: it takes over everything, and says so when it did not."""

from __future__ import annotations

import asyncio

import pytest

from detectors.proving import OWN_RULES, no_file
from detectors.rulebook import load
from ingest.schema.errors import EngineError
from skytrail.bench.restoring import Result, fits, measure, valueless
from streams.topics import CORRELATION_STATE
from tests.streams.fakes import Brokers


class Forgetful(Brokers):
    """Loses one group of each snapshot."""

    def append(self, topic: str, message: tuple[bytes | None, bytes, int | None]) -> None:
        if topic != CORRELATION_STATE or message[0] is None or b"/39-" not in message[0]:
            super().append(topic, message)


def run(brokers: Brokers, groups: int, each: int, since: int) -> Result:
    correlations = valueless(load([OWN_RULES], prove=no_file).correlations)
    return asyncio.run(measure(brokers, brokers, correlations, groups, each, since, lambda *_: None))


def test_all_groups_of_snapshot_and_messages_since_are_taken_over() -> None:
    result = run(Brokers(), 40, 6, 50)
    assert (result.groups, result.signals, result.since) == (40, 190, 50)
    assert result.cpu_s >= 0


def test_a_group_that_was_lost_is_no_result() -> None:
    with pytest.raises(EngineError, match="differs from what was saved"):
        run(Forgetful(), 40, 6, 0)


def test_more_than_a_worker_keeps_is_no_measurement() -> None:
    assert fits(40_000, 10)
    assert not fits(40_001, 10)
