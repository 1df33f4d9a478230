"""Waits for brokers that are away, and says so; only refused credentials are an error."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence

import structlog
from aiokafka import errors as kafka_errors

from ingest.backoff import Backoff
from ingest.schema.errors import BrokerUnavailable, ConfigError, TransientError
from ingest.settings import KafkaSettings
from streams.brokers import knock
from streams.topic_admin import ensure_topics
from streams.topics import Topic

REPEAT_S = 30.0  # between two log lines of one reason
REFUSALS = 5  # in a row: brokers that just started accept connections before they have read who may enter
_REFUSED = (
    kafka_errors.AuthenticationFailedError,
    kafka_errors.AuthenticationMethodNotSupported,
    kafka_errors.SaslAuthenticationFailed,
    kafka_errors.UnsupportedSaslMechanismError,
)

log = structlog.get_logger("skytrail.worker")


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what led to it; mode raises a crash from itself, so a chain may be a circle."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def is_refusal(error: BaseException) -> bool:
    """Whether the brokers answer and do not accept us."""
    return any(isinstance(cause, _REFUSED) for cause in causes(error))


class Teller:
    """Logs why one waits for Kafka: when the reason changes, and again after `REPEAT_S`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reason = ""
        self._told = 0.0

    def __call__(self, error: TransientError) -> None:
        """Take note of a failed attempt."""
        now = self._clock()
        if error.what != self._reason or now - self._told >= REPEAT_S:
            self._reason, self._told = error.what, now
            log.warning("waiting for Kafka", reason=error.what, where=error.where, mend=error.mend)


async def until_brokers_answer(
    kafka: KafkaSettings, tell: Callable[[TransientError], None], backoff: Backoff | None = None
) -> None:
    """Return when one of the brokers accepts us.

    Raises:
        ConfigError: They answer again and again that they do not know us.
    """
    addresses = [address.strip() for address in kafka.bootstrap_servers.split(",")]
    refusals = 0

    async def attempt() -> None:
        nonlocal refusals
        for address in addresses:
            try:
                await knock(kafka, [address])
            except BrokerUnavailable as exc:
                refusals = refusals + 1 if is_refusal(exc) else 0
                if refusals >= REFUSALS:
                    raise ConfigError(exc.what, where=exc.where, mend=exc.mend) from exc
                tell(exc)
                last = exc
            else:
                return
        raise last

    await (backoff or Backoff(first_s=1.0, cap_s=5.0)).forever(attempt)


async def prepare_topics(kafka: KafkaSettings, topics: Sequence[Topic], backoff: Backoff | None = None) -> None:
    """Wait for the brokers, then create what is missing of the topics, as often as it takes.

    Raises:
        ConfigError: The brokers refuse our credentials.
    """
    tell = Teller()
    waiting = backoff or Backoff(first_s=1.0, cap_s=5.0)

    async def attempt() -> None:
        await until_brokers_answer(kafka, tell, waiting)
        try:
            await ensure_topics(kafka, topics)
        except BrokerUnavailable as exc:
            tell(exc)
            raise

    await waiting.forever(attempt)


def wait_for_brokers(kafka: KafkaSettings) -> None:
    """The same for callers without an event loop.

    Raises:
        ConfigError: The brokers refuse our credentials.
    """
    asyncio.run(until_brokers_answer(kafka, Teller()))
