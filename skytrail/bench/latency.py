"""Seconds from the moment at which an event is due at the brokers to its alert, while everything runs on one machine.

Everyday events come at a steady rate, and with each tick one that a rule alerts on, by somebody new, so that no
suppression delays or hides it. A tick that is sent late counts from when it was due: who falls behind shows it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from ingest.kafka_client import client_options
from ingest.publisher import KafkaPublisher
from ingest.schema.envelope import Envelope, Header, Origin, pack
from ingest.schema.errors import EngineError
from ingest.settings import KafkaSettings
from skytrail.bench.samples import SEED, everyday
from skytrail.demo.delivery import CLOUDTRAIL
from streams.topics import ALERTS, DEAD_LETTERS, raw_topic

NAMESPACE: Final = "bench"
TICK_S: Final = 0.05
WARM_UP_S: Final = 10.0
START_S: Final = 240.0
SETTLE_S: Final = 30.0
DIFFERENT: Final = 20_000
_AT_ONCE: Final = 16  # ticks on their way; more means that the brokers do not keep up
_EVENT_ID: Final = re.compile(rb'("eventID":\s?")[^"]+(")')
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Result:
    """What a measurement says; times in milliseconds.

    Attributes:
        asked_per_s: Events that were due a second.
        sent_per_s: Events that the brokers took a second.
        alerts: Of as many events that alert, after the warm-up.
        missing: Events without an alert when it ended.
    """

    asked_per_s: int
    sent_per_s: int
    seconds: int
    alerts: int
    missing: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


@dataclass(slots=True)
class Events:
    """Ever new events: everyday ones with an id of their own, and those that alert."""

    everyday: Sequence[bytes]
    now: dt.datetime
    _sent: int = 0

    def tick(self, count: int, number: int) -> list[bytes]:
        """The events of a tick; the first alerts."""
        return [self.alerting(number), *(self._next() for _ in range(count - 1))]

    def alerting(self, number: int) -> bytes:
        """A trail is stopped, by somebody new."""
        event = {
            "eventVersion": "1.11",
            "eventID": f"bench-alert-{number:012d}",
            "eventTime": f"{self.now:%Y-%m-%dT%H:%M:%SZ}",
            "eventSource": "cloudtrail.amazonaws.com",
            "eventName": "StopLogging",
            "awsRegion": "eu-central-1",
            "sourceIPAddress": "198.51.100.7",
            "userAgent": "aws-cli/2.15.0",
            "requestParameters": {"name": "main"},
            "userIdentity": {
                "type": "IAMUser",
                "principalId": principal(number),
                "arn": f"arn:aws:iam::111122223333:user/{principal(number)}",
                "accountId": "111122223333",
                "userName": principal(number),
            },
            "recipientAccountId": "111122223333",
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "readOnly": False,
        }
        return json.dumps(event).encode()

    def _next(self) -> bytes:
        self._sent += 1
        record = self.everyday[self._sent % len(self.everyday)]
        return _EVENT_ID.sub(rb"\g<1>bench-%d\g<2>" % self._sent, record, count=1)


def principal(number: int) -> str:
    """Who stops the trail of a tick."""
    return f"AIDABENCH{number:08d}"


@dataclass(slots=True)
class Arrivals:
    """When events were due, and when their first alerts came, by who acted; seconds of the monotonic clock."""

    due: dict[str, float] = field(default_factory=dict)
    came: dict[str, float] = field(default_factory=dict)

    def take(self, document: dict[str, Any], at: float) -> None:
        """Note an alert."""
        key = document.get("skytrail", {}).get("principal", {}).get("key", "")
        self.came.setdefault(key.removeprefix("aws:"), at)

    def delays(self) -> Iterator[float]:
        """Of those that came, seconds."""
        return (self.came[who] - at for who, at in self.due.items() if who in self.came)

    def missing(self) -> int:
        """How many have no alert."""
        return sum(who not in self.came for who in self.due)


async def measure(kafka: KafkaSettings, rate: int, seconds: int, alive: Callable[[], None], tell: Tell) -> Result:
    """Send at a rate while all roles run, and see when alerts come.

    Args:
        kafka: Brokers that nobody else uses.
        rate: Events a second.
        seconds: So long, after the warm-up.
        alive: Raises when a role has ended.
        tell: Hears about progress.

    Raises:
        EngineError: A role ended, or no alert came at all.
    """
    tell("generating records", 0, DIFFERENT)
    now = dt.datetime.now(dt.UTC)
    events = Events(everyday(CLOUDTRAIL, DIFFERENT, seed=SEED, end=now), now)
    tell("generating records", DIFFERENT, DIFFERENT)
    publisher = KafkaPublisher(kafka, raw_topic=raw_topic, dead_letter_topic=DEAD_LETTERS)
    consumer = AIOKafkaConsumer(**client_options(kafka), enable_auto_commit=False)
    await publisher.probe()
    await consumer.start()
    arrivals = Arrivals()
    listening: asyncio.Task[None] | None = None
    try:
        consumer.assign([TopicPartition(ALERTS, number) for number in range(kafka.partitions)])
        await consumer.seek_to_end()
        listening = asyncio.create_task(_listen(consumer, arrivals))
        await _first_alert(publisher, events, arrivals, alive, tell)
        sent, took = await _send(publisher, events, arrivals, rate, seconds, tell)
        await _settle(arrivals, listening, alive)
    finally:
        if listening is not None:
            listening.cancel()
        await publisher.close()
        await consumer.stop()
    return _result(arrivals, rate, round(sent / took), seconds)


async def _listen(consumer: AIOKafkaConsumer, arrivals: Arrivals) -> None:
    async for message in consumer:
        arrivals.take(json.loads(message.value), time.monotonic())


async def _first_alert(
    publisher: KafkaPublisher, events: Events, arrivals: Arrivals, alive: Callable[[], None], tell: Tell
) -> None:
    """All roles have started when the first alert comes."""
    deadline = time.monotonic() + START_S
    await publisher.publish(_envelopes([events.alerting(0)]))
    while principal(0) not in arrivals.came:
        alive()
        tell("waiting for the roles", 0, 1)
        if time.monotonic() > deadline:
            raise EngineError("waiting for the first alert: none came", mend="read the logs of the roles")
        await asyncio.sleep(0.2)
    tell("waiting for the roles", 1, 1)


async def _send(
    publisher: KafkaPublisher, events: Events, arrivals: Arrivals, rate: int, seconds: int, tell: Tell
) -> tuple[int, float]:
    """Tick after tick, whether the brokers keep up or not; how many were sent after the warm-up, and in which time."""
    ticks, warm, count = round((WARM_UP_S + seconds) / TICK_S), round(WARM_UP_S / TICK_S), round(rate * TICK_S)
    room, sending = asyncio.Semaphore(_AT_ONCE), set[asyncio.Task[None]]()

    async def send(envelopes: Sequence[Envelope]) -> None:
        try:
            await publisher.publish(envelopes)
        finally:
            room.release()

    began = time.monotonic()
    for number in range(1, ticks + 1):
        due = began + number * TICK_S
        envelopes = _envelopes(events.tick(count, number))
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await room.acquire()
        task = asyncio.create_task(send(envelopes))
        sending.add(task)
        task.add_done_callback(sending.discard)
        if number > warm:
            arrivals.due[principal(number)] = due
        if number % 20 == 0:
            tell("sending", number, ticks)
    await asyncio.gather(*sending)
    tell("sending", ticks, ticks)
    return (ticks - warm) * count, time.monotonic() - began - WARM_UP_S


async def _settle(arrivals: Arrivals, listening: asyncio.Task[None], alive: Callable[[], None]) -> None:
    """Wait for what is still on its way."""
    deadline = time.monotonic() + SETTLE_S
    while arrivals.missing() and time.monotonic() < deadline:
        alive()
        if listening.done():
            listening.result()
        await asyncio.sleep(0.1)


def _envelopes(records: Sequence[bytes]) -> list[Envelope]:
    now = dt.datetime.now(dt.UTC)
    origin = Origin(transport="bench", locator=f"bench/{now:%H%M%S%f}", sha256="0" * 64)
    header = Header(format=CLOUDTRAIL, namespace=NAMESPACE, collector="bench", received_at=now, origin=origin)
    return list(pack(header, records))


def _result(arrivals: Arrivals, rate: int, sent: int, seconds: int) -> Result:
    delays = sorted(arrivals.delays())
    if not delays:
        raise EngineError("measuring the latency of alerts: none came", mend="read the logs of the roles")

    def at(share: float) -> float:
        return round(1000 * delays[max(0, math.ceil(share * len(delays)) - 1)], 1)

    return Result(rate, sent, seconds, len(delays), arrivals.missing(), at(0.5), at(0.95), at(0.99), at(1.0))
