"""Waiting for brokers: said once per reason, for ever, except that refused credentials are an error."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
)

from ingest.backoff import Backoff
from ingest.schema.errors import BrokerUnavailable, TransientError
from ingest.settings import KafkaSettings
from skytrail.local import ports
from streams.broker_wait import Teller, causes, is_refusal, until_brokers_answer
from streams.revival import broker_reason

QUICK = Backoff(first_s=0.01, cap_s=0.01)


def chained(outer: BaseException, inner: BaseException) -> BaseException:
    outer.__cause__ = inner
    return outer


def kafka(port: int) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=f"127.0.0.1:{port}", security_protocol="PLAINTEXT")


@contextlib.asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    """Closes every connection at once, as a broker that just starts does."""

    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_brokers_that_are_away_are_waited_for_and_every_attempt_is_told() -> None:
    told: list[TransientError] = []
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(until_brokers_answer(kafka(ports.any_free()), told.append, QUICK), 0.5)
    assert len(told) > 3
    assert all(isinstance(error, BrokerUnavailable) for error in told)


async def test_brokers_that_hang_up_are_waited_for() -> None:
    told: list[TransientError] = []
    async with silent_server() as port:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(until_brokers_answer(kafka(port), told.append, QUICK), 0.5)
    assert told


def test_a_reason_is_logged_when_it_changes_and_again_after_a_while(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    teller = Teller(lambda: now)
    for now, what in (  # noqa: B007 - the clock above reads it
        (0.0, "a"),
        (1.0, "a"),
        (2.0, "b"),
        (3.0, "b"),
        (40.0, "b"),
    ):
        teller(BrokerUnavailable(f"reason-{what}"))
    shown = capsys.readouterr().out
    assert (shown.count("reason-a"), shown.count("reason-b")) == (1, 2)


@pytest.mark.parametrize(
    "crash",
    [
        KafkaConnectionError("away"),
        KafkaTimeoutError("slow"),
        chained(SystemExit(1), KafkaConnectionError("away")),
        chained(RuntimeError("closing"), chained(ValueError("inner"), KafkaConnectionError("away"))),
    ],
)
def test_an_absence_of_the_brokers_is_a_reason_to_start_again(crash: BaseException) -> None:
    assert "Kafka" in broker_reason(crash)


@pytest.mark.parametrize(
    "crash",
    [
        None,
        ValueError("a bug"),
        OSError("disk"),
        SaslAuthenticationFailed("who are you"),
        TopicAuthorizationFailedError("skytrail.raw"),
        chained(RuntimeError("agent"), MessageSizeTooLargeError("9 MB")),
    ],
)
def test_what_waiting_can_not_mend_is_none(crash: BaseException | None) -> None:
    assert broker_reason(crash) == ""


def test_a_crash_that_was_raised_from_itself_is_read_once() -> None:
    crash = KafkaConnectionError("away")
    crash.__cause__ = crash
    assert list(causes(crash)) == [crash]
    assert not is_refusal(crash)
