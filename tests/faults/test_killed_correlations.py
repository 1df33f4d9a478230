"""`kill -9` of the role detect, and a second worker beside it, while correlated events flow: no alert lost or twice."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from pathlib import Path

import pytest

from detectors.correlation.alone import Alone
from detectors.correlation.signals import Router
from detectors.correlation.state import Signal
from detectors.rulebook import Rulebook, load
from detectors.sigma.engine import InterpretedEngine
from detectors.suppression import GroupState, state_key, step
from ingest.formats.registry import all_formats
from ingest.schema import envelope as wire
from ingest.schema.envelope import Position
from streams.preparing import prepare
from streams.runtime import utc_now
from streams.status import wait_until_caught_up
from streams.topics import raw_topic
from tests.faults.material import CLOUDTRAIL
from tests.faults.oracle import LIMITS, Alerts, advanced, messages_of, told_alerts
from tests.faults.road import Road, feeding, wait_for

pytestmark = [pytest.mark.faults, pytest.mark.engines]
NAMESPACE = "correlated"
RULES = """
title: Many risky calls of one user
name: test-many-risky-calls
level: high
correlation:
  type: event_count
  rules: [test-risky-call]
  group-by: [userIdentity.userName]
  timespan: 5m
  lateness: 2h
  condition: {gte: 3}
---
title: Logging stopped and second factor taken away
name: test-stopped-and-weakened
level: high
correlation:
  type: temporal
  rules: [test-logging-stopped, test-factor-taken]
  group-by: [userIdentity.userName]
  timespan: 10m
  lateness: 2h
---
title: Second factor taken away from an address of a burst
name: test-burst-and-weakened
level: high
correlation:
  type: temporal
  rules: [test-burst, test-factor-taken]
  group-by: [sourceIPAddress]
  timespan: 10m
  lateness: 2h
---
title: Burst of one user, whatever the addresses
name: test-burst
correlation:
  type: event_count
  rules: [test-risky-call]
  group-by: [userIdentity.userName]
  timespan: 90s
  lateness: 2h
  condition: {gte: 3}
---
title: Risky call
name: test-risky-call
logsource: {product: aws, service: cloudtrail}
detection:
  s: {eventName: [StopLogging, DeactivateMFADevice, DeleteDetector]}
  condition: s
---
title: Logging stopped
name: test-logging-stopped
logsource: {product: aws, service: cloudtrail}
detection: {s: {eventName: StopLogging}, condition: s}
---
title: Second factor taken away
name: test-factor-taken
logsource: {product: aws, service: cloudtrail}
detection: {s: {eventName: DeactivateMFADevice}, condition: s}
"""


async def expected_alerts(road: Road, book: Rulebook) -> Alerts:
    """The alerts of the correlations over everything that Kafka holds, followed in event time by one process."""
    router, engine = Router(book.correlations), InterpretedEngine(book.evaluated)
    format_ = all_formats()[CLOUDTRAIL]
    signals: list[Signal] = []
    for (topic, partition), values in (await messages_of(road, [raw_topic(CLOUDTRAIL)])).items():
        for offset, value in values.items():
            if wire.decode(value).header.namespace != NAMESPACE:
                continue
            message = prepare(value, Position(topic, partition, offset), utc_now(), LIMITS)
            views, identified = [], []
            for record in message.records:
                view = format_.view(record.record)
                view.ecs = record.identified.document
                views.append(view)
                identified.append(record.identified)
            matches = list(engine.match(views, format_.log_source))
            signals += router.signals(
                matches, views, identified, format_.log_source, ruleset_version="oracle", index_of=lambda _: "any"
            )
    alone = Alone(router)
    found = [*alone.follow(sorted(signals, key=lambda signal: signal.at)), *alone.finish()]
    states: dict[tuple[str, str, str], GroupState] = {}
    counts: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for detection in found:
        states[state_key(detection)], outcome = step(states.get(state_key(detection)), detection)
        counts[detection.rule_id, detection.group_key][outcome.alert_id] = outcome.window.count
    return {key: sorted(of.values()) for key, of in counts.items()}


async def test_correlations_tell_each_alert_once_with_its_exact_count_wherever_a_worker_dies(
    road: Road, tmp_path: Path
) -> None:
    (tmp_path / "correlated.yml").write_text(RULES, "utf-8")
    book = load([tmp_path])
    assert book.errors == ()
    detection = {"rules": [str(tmp_path)], "shipped_rules": False}
    road.end("detect", road.roles["detect"][0])
    road.start("detect", detection=detection)
    rng = random.Random(4)
    async with feeding(road, NAMESPACE, 77) as feed:
        await advanced(road)
        for _ in range(2):
            await asyncio.sleep(rng.uniform(0.5, 2.0))
            road.kill("detect")
            road.start("detect", detection=detection)
            await advanced(road)
        second = road.start("detect", detection=detection)
        wait_for(lambda: second.said("worker started"), "the second worker is up")
        await advanced(road)
        road.kill("detect")
        await advanced(road)
    status = await wait_until_caught_up(road.settings.kafka, list(all_formats()), timeout_s=240, namespace=NAMESPACE)
    assert status.caught_up, dict(status.lag)
    expected = await expected_alerts(road, book)
    rules = {"test-many-risky-calls", "test-stopped-and-weakened", "test-burst-and-weakened"}
    assert {rule for rule, _ in expected} == rules
    assert sum(sum(counts) for counts in expected.values()) > feed.records / 100
    told = await told_alerts(road, NAMESPACE)
    assert {key: counts for key, counts in told.items() if key[0].startswith("test-")} == expected
