"""What `bench latency` sends, and how it counts what comes."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from detectors.rulebook import load
from detectors.sigma.engine import InterpretedEngine
from ingest.formats.registry import format_named
from ingest.schema.errors import EngineError
from skytrail.bench.latency import Arrivals, Events, _result, principal
from skytrail.bench.samples import everyday

NOW = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def events() -> Events:
    return Events(everyday("aws.cloudtrail", 50, seed=7, end=NOW), NOW)


def test_every_event_has_an_id_of_its_own_however_long_it_goes_on(events: Events) -> None:
    form = format_named("aws.cloudtrail")
    ids = [form.identify(record) for number in range(5) for record in events.tick(40, number)]
    assert len(set(ids)) == len(ids) == 200


def test_the_first_event_of_a_tick_alerts_and_names_somebody_new(events: Events) -> None:
    form = format_named("aws.cloudtrail")
    engine = InterpretedEngine(load().rules)
    for number in (1, 2):
        reading = form.read(events.alerting(number))
        view = reading.view()
        view.ecs = reading.normalise()
        assert list(engine.match([view], form.log_source))
        assert view.vendor["userIdentity"]["principalId"] == principal(number)


def test_only_the_first_alert_about_somebody_counts_and_what_is_missing_is_told() -> None:
    arrivals = Arrivals({principal(number): float(number) for number in range(4)})
    for number, at in ((0, 0.5), (0, 9.0), (1, 1.25), (2, 3.0)):
        arrivals.take({"skytrail": {"principal": {"key": f"aws:{principal(number)}"}}}, at)
    result = _result(arrivals, 5000, 4990, 60)
    assert (result.alerts, result.missing) == (3, 1)
    assert (result.p50_ms, result.p99_ms, result.max_ms) == (500.0, 1000.0, 1000.0)
    assert json.dumps(result.sent_per_s) == "4990"


def test_no_alert_at_all_is_no_result() -> None:
    with pytest.raises(EngineError, match="none came"):
        _result(Arrivals({principal(1): 1.0}), 5000, 5000, 60)
