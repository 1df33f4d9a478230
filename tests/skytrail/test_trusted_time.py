"""Nothing is destroyed on the word of a clock that leapt, also where the seal worker leapt with it."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ingest.schema.errors import ConfigError
from skytrail import deleting
from skytrail.deleting import SETTLED, trusted
from storage.retention.record import State

NOW = dt.datetime(2026, 11, 28, 10, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def ledger(name: str, *ages: float) -> State:
    """A ledger with entries that are so many days old."""
    state = State(namespace=name)
    for age in ages:
        state._pass_to(NOW - age * DAY)
    return state


def steady(name: str, oldest: int = 30) -> State:
    return ledger(name, *(each / 2 for each in range(2 * oldest, -1, -1)))


async def asked(monkeypatch: pytest.MonkeyPatch, *states: State, other: dt.timedelta = dt.timedelta()) -> dt.datetime:
    known = {state.namespace: SimpleNamespace(now=lambda state=state: state) for state in states}
    retaining = cast("Any", SimpleNamespace(namespaces=lambda: list(known), record=known.__getitem__))

    async def clock_of(_: object) -> dt.datetime:
        return NOW + other

    monkeypatch.setattr(deleting, "clock_of", clock_of)
    return await trusted(retaining, cast("Any", None), NOW)


async def test_a_ledger_that_went_on_is_believed_and_the_earlier_of_two_clocks_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await asked(monkeypatch, steady("acme")) == NOW
    back = dt.timedelta(minutes=-4)
    assert await asked(monkeypatch, steady("acme"), other=back) == NOW + back
    with pytest.raises(ConfigError, match="that of Elasticsearch"):
        await asked(monkeypatch, steady("acme"), other=dt.timedelta(minutes=6))
    with pytest.raises(ConfigError, match="newest entry of any ledger"):
        await asked(monkeypatch, ledger("acme", 30, 29.5))


@pytest.mark.parametrize("silent", [1.1, 40, 3650])
async def test_after_a_leap_nothing_is_destroyed_until_somebody_had_days_to_see_it(
    silent: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for since in (0.0, 1.0, 2.9):
        leapt = ledger("acme", silent + since, *(since - each / 2 for each in range(int(2 * since) + 1)))
        with pytest.raises(ConfigError, match=r"the ledger of acme goes from .* or a clock leapt"):
            await asked(monkeypatch, leapt)
    settled = SETTLED / DAY
    went_on = ledger("acme", silent + settled, *(settled - each / 2 for each in range(int(2 * settled) + 1)))
    assert await asked(monkeypatch, went_on) == NOW


async def test_a_silent_ledger_is_harmless_where_another_one_went_on_and_not_where_it_began_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quiet = ledger("quiet", 20, 0.5)
    assert await asked(monkeypatch, quiet, steady("acme")) == NOW
    for other in (steady("young", 2), ledger("leapt", 25, 20, 1, 0), ledger("gone", 25, 24.5)):
        with pytest.raises(ConfigError, match="leapt"):
            await asked(monkeypatch, quiet, other)


async def test_entries_of_a_clock_that_was_ahead_vouch_for_nothing_and_do_not_block_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await asked(monkeypatch, ledger("acme", 1, 0.5, -3650, 0.1)) == NOW  # corrected since
    with pytest.raises(ConfigError, match="newest entry of any ledger"):
        await asked(monkeypatch, ledger("acme", 30, 29.5), ledger("ahead", -3650))
