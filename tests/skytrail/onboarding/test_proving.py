"""The frame of `onboard check`: order, what is skipped, verdicts, the wait for the first event."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import pytest

from ingest.schema.errors import BrokerUnavailable, EngineError, SourceRefused
from ingest.transports.registry import as_collector
from skytrail.diagnosis.check import Check
from skytrail.onboarding import proving
from skytrail.onboarding.arrival import Arriving
from skytrail.onboarding.proving import Asked, Plan, ProofStep, prove, proven
from streams.arrivals import Arrivals

NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
DENIED = SourceRefused("calling it: AccessDenied", mend="allow it")


QUEUE = "https://sqs.eu-central-1.amazonaws.com/123456789012/trail"


def asked(queue: str = QUEUE, now: Callable[[], dt.datetime] = lambda: NOON) -> Asked:
    settings = as_collector({"transport": "s3_sqs", "format": "aws.cloudtrail", "s3_sqs": {"queue_url": queue}})
    return Asked("trail", settings, now)


def giving(*checks: Check) -> Callable[[], Awaitable[Iterable[Check]]]:
    async def look() -> Iterable[Check]:
        return checks

    return look


def raising(error: Exception) -> Callable[[], Awaitable[Iterable[Check]]]:
    async def look() -> Iterable[Check]:
        raise error

    return look


async def nothing_arrives(_within_s: float) -> Iterable[Check]:
    return [Check("events", "fail", "none")]


async def proof(monkeypatch: pytest.MonkeyPatch, *steps: ProofStep, queue: str = QUEUE) -> list[Check]:
    @contextlib.asynccontextmanager
    async def open_plan(_asked: Asked) -> AsyncIterator[Plan]:
        yield Plan(steps, first_event_within_s=900)

    monkeypatch.setattr(proving, "plan_of", lambda _transport: open_plan)
    return [check async for check in prove(asked(queue), nothing_arrives)]


async def test_each_step_is_asked_in_order_and_one_that_fails_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await proof(
        monkeypatch,
        ProofStep("a", raising(DENIED)),
        ProofStep("b", raising(ZeroDivisionError("oops"))),
        ProofStep("c", giving(Check("c", "ok", "there"))),
    )
    assert [(check.name, check.state, check.denied) for check in found[1:]] == [
        ("a", "fail", True),
        ("b", "fail", False),
        ("c", "ok", False),
        ("events", "fail", False),
    ]
    assert found[1].mend == "allow it"


async def test_what_needs_a_step_that_failed_is_skipped_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await proof(
        monkeypatch,
        ProofStep("a", raising(DENIED)),
        ProofStep("b", giving(Check("b", "ok", "")), needs=("a",)),
        ProofStep("c", giving(Check("c", "ok", "")), needs=("b",)),
        ProofStep("d", giving(Check("d", "warn", "")), needs=()),
    )
    assert [(check.name, check.state, check.found) for check in found[2:5]] == [
        ("b", "skipped", "it needs a"),
        ("c", "skipped", "it needs b"),
        ("d", "warn", ""),
    ]


async def test_settings_that_can_not_work_ask_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await proof(monkeypatch, ProofStep("a", giving(Check("a", "ok", ""))), queue="trail")
    assert [check.name for check in found] == ["collector trail", "events"]
    assert found[0].state == "fail"


async def test_a_connection_that_can_not_be_made_is_a_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.asynccontextmanager
    async def open_plan(_asked: Asked) -> AsyncIterator[Plan]:
        raise DENIED
        yield Plan()

    monkeypatch.setattr(proving, "plan_of", lambda _transport: open_plan)
    found = [check async for check in prove(asked(), nothing_arrives)]
    assert [(check.name, check.state) for check in found[1:]] == [("connection", "fail"), ("events", "fail")]


@pytest.mark.parametrize(
    ("states", "denied", "code"),
    [
        (["ok", "warn"], False, 0),
        (["ok", "skipped"], False, 5),
        (["fail", "skipped"], False, 3),
        (["fail", "skipped"], True, 4),
    ],
)
def test_the_exit_code_says_whether_all_is_proven(states: list[Any], *, denied: bool, code: int) -> None:
    assert proven([Check("a", state, "", denied=denied and state == "fail") for state in states]) == code


@pytest.mark.parametrize("transport", ["files", "syslog"])
def test_a_transport_of_which_nobody_can_be_asked_has_no_steps(transport: str) -> None:
    assert proving.plan_of(transport) is None


def arriving(*answers: Arrivals | Exception, wait_s: float = 0, expected_s: float | None = None) -> Arriving:
    left = list(answers)
    clock = iter(NOON + dt.timedelta(seconds=number) for number in range(100))

    async def read() -> Arrivals:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Arriving(asked(now=lambda: next(clock)), read, wait_s, expected_s)


NONE = Arrivals(0, None)


async def test_no_event_is_a_fail_that_says_how_long_the_first_may_take() -> None:
    (check,) = await arriving(NONE).look(900)
    assert (check.state, check.found) == ("fail", "none has arrived")
    assert "15 minutes" in check.mend
    assert "skytrail onboard check trail --wait 900" in check.mend


async def test_the_first_event_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skytrail.onboarding.arrival._LOOK_EVERY_S", 0)
    (check,) = await arriving(NONE, NONE, Arrivals(7, None), wait_s=50).look(900)
    assert (check.state, check.found) == ("ok", "7 records have arrived")
    (check,) = await arriving(NONE, wait_s=5).look(900)
    assert (check.state, check.found) == ("fail", "none has arrived within 5 s")


@pytest.mark.parametrize(
    ("age_s", "expected_s", "state", "told"),
    [
        (7200, None, "ok", "1,200 records, the last ones 2 hours ago"),
        (7200, 3600, "warn", "1,200 records, the last ones 2 hours ago"),
        (50, 3600, "ok", "1,200 records, the last ones 51 seconds ago"),
    ],
)
async def test_events_that_are_older_than_the_settings_say_are_a_warning(
    age_s: float, expected_s: float | None, state: str, told: str
) -> None:
    found = Arrivals(1200, NOON - dt.timedelta(seconds=age_s))
    (check,) = await arriving(found, expected_s=expected_s).look(900)
    assert (check.state, check.found) == (state, told)


@pytest.mark.parametrize(
    ("refused", "state", "told"),
    [
        (0, "ok", "10 records, the last ones 1 hour ago"),
        (1, "ok", "10 records, 1 of them dead letters, the last ones 1 hour ago"),
        (6, "warn", "10 records, 6 of them dead letters, the last ones 1 hour ago"),
        (10, "fail", "10 records, 10 of them dead letters, the last ones 1 hour ago"),
    ],
)
async def test_records_that_nothing_could_read_prove_no_source(refused: int, state: str, told: str) -> None:
    found = Arrivals(10, NOON - dt.timedelta(hours=1), refused)
    (check,) = await arriving(found).look(900)
    assert (check.state, check.found) == (state, told)
    assert ("dead-letters list" in check.mend) == (state != "ok")


async def test_a_source_that_the_watch_holds_silent_is_a_warning_that_names_it() -> None:
    (check,) = await arriving(Arrivals(10, NOON - dt.timedelta(days=2), silent=("trail/shop",))).look(900)
    assert check.state == "warn"
    assert "trail/shop silent" in check.mend


async def test_without_a_kafka_of_our_own_arrival_is_skipped_and_one_that_is_away_is_told() -> None:
    (check,) = await arriving(EngineError("looking for Kafka: there is none")).look(900)
    assert check.state == "skipped"
    with pytest.raises(BrokerUnavailable):
        await arriving(BrokerUnavailable("away")).look(900)
