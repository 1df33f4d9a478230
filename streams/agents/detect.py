"""Detect: every record of a raw topic is evaluated by every rule of its log source; matches go to the detections topic.

Where correlations build upon a rule, its matches go to the signals topic, too.

A record that can't be normalised is a dead letter of the index role, which refuses it for the same reason; here it is
only counted. Detections travel in batches, placed by what an alert folds on, so that one alert agent sees them all.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence

import faust

from detectors.correlation.signals import Router
from detectors.correlation.state import Signal
from detectors.correlation.wire import encode as encode_signal
from detectors.detection import Detection, encode_within, word_matches
from detectors.exceptions import Exceptions
from detectors.sigma.engine import Engine
from detectors.suppression import state_key
from ingest.document import Identified
from ingest.formats.contract import View
from ingest.pseudonyms.pseudonyms import Pseudonyms
from streams.accounting import DEAD_LETTERED, EVALUATED, RECEIVED, Account, source_key
from streams.accounts import Accounts
from streams.evaluating import Evaluated, evaluate
from streams.evaluations import begin, encode_run
from streams.event_clock import EventClock
from streams.naming import Namer
from streams.preparing import Limits
from streams.produce import Message, Sink, partition_for
from streams.pseudonyms import NO_PSEUDONYMS, told
from streams.runtime import BatchCount, Runtime, partitions_of, place_of
from streams.signal_messages import place_signals
from streams.topics import DETECTIONS, EVALUATIONS, RULESETS, SIGNALS, is_raw

ROLE = "detect"
MAX_PER_MESSAGE = 500
MAX_MESSAGE_BYTES = 1024 * 1024
Batch = Sequence[faust.EventT[bytes]]


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """The rules in force; swapped whole.

    Attributes:
        router: Knows the correlations that build upon rules.
        silent: Ids of rules that only serve correlations.
        exceptions: What is known and wanted; matches that they keep back are counted, and told to nobody.
        content: Key and value of the messages that say what the version stands for (`streams/rulesets.py`).
    """

    engine: Engine
    version: str
    router: Router = dataclasses.field(default_factory=lambda: Router(()))
    silent: frozenset[str] = frozenset()
    exceptions: Exceptions = dataclasses.field(default_factory=lambda: Exceptions(()))
    content: Sequence[tuple[bytes, bytes]] = ()


class DetectAgent:
    """Handler of the raw topics in the role detect."""

    def __init__(
        self,
        runtime: Runtime,
        accounts: Accounts,
        rules: Rules,
        *,
        namer: Namer,
        limits: Limits,
        pseudonyms: Pseudonyms = NO_PSEUDONYMS,
    ) -> None:
        """Compose; `rules` may be replaced at any time by assigning `self.rules`."""
        self.rules = rules
        self._runtime = runtime
        self._accounts = accounts
        self._namer = namer
        self._limits = limits
        self._pseudonyms = pseudonyms
        self._clock = EventClock()
        self._told: set[str] = set()

    def forget(self) -> None:
        """After a rebalance."""
        self._accounts.forget()
        self._clock.forget()

    async def tick(self) -> None:
        """Tell every partition of the signals topic how far this worker is; needed where correlations wait for time.

        Exceptions end by themselves, so how many have is looked at here, too.
        """
        for state, number in self.rules.exceptions.states(self._runtime.now().date()).items():
            self._runtime.telemetry.exceptions.labels(state).set(number)
        correlations = self.rules.router.correlations.values()
        lag = {key: number for key, number in self._runtime.progress.lag.items() if is_raw(key[0])}
        if not lag or not correlations:
            return
        clock = self._clock.tick(lag, self._runtime.now(), time.monotonic())
        producer = self._runtime.producer
        partitions = range(await producer.partitions(SIGNALS))
        await producer.send(SIGNALS, [(None, encode_signal(clock), partition) for partition in partitions])

    async def handle(self, batch: Batch) -> None:
        """Evaluate a batch; detections are with the brokers and the count is saved before it is acknowledged."""
        found: list[Detection] = []
        signals: list[Signal] = []
        messages: list[Evaluated] = []
        rules = self.rules
        with self._runtime.telemetry.stage.labels(ROLE, "detect").time():
            for event in batch:
                message = evaluate(
                    event.message.value, place_of(event), self._runtime.now(), self._limits, rules.engine
                )
                self._word(message, rules, found, signals)
                messages.append(message)
                await asyncio.sleep(0)
        producer = self._runtime.producer
        await producer.send(SIGNALS, await place_signals(producer, signals))
        await producer.send(DETECTIONS, await place_detections(producer, found))
        for message in messages:
            if message.newest and message.header:
                newest = min(message.newest, message.header.received_at)  # a wild clock moves nobody else's
                self._clock.saw(message.position.topic, message.position.partition, newest)
        accounts = await self._accounts.of(partitions_of(batch))
        await self._write_down(
            rules, begin(accounts, map(place_of, batch), rules.version, self._runtime.now().isoformat())
        )
        count = BatchCount(accounts, self._runtime.telemetry, ROLE)
        for message in messages:
            evaluated = message.received - message.refused
            tally = {RECEIVED: message.received, EVALUATED: evaluated, DEAD_LETTERED: message.refused}
            count.add(message.position, source_key(message.header), **tally)
        await self._accounts.save(count.finish(message.position for message in messages))
        self._runtime.telemetry.signals_left_out.labels("ungrouped").inc(rules.router.left_out.total())
        rules.router.left_out.clear()
        for (exception, rule_id), number in rules.exceptions.counts.items():
            self._runtime.telemetry.excepted.labels(exception, rule_id).inc(number)
        rules.exceptions.counts.clear()
        for event in batch:
            event.ack()
        self._runtime.progress.done()

    async def _write_down(self, rules: Rules, changed: Sequence[Account]) -> None:
        """Which rule set evaluates from now on, and what it is; durable before an account names it."""
        if not changed:
            return
        producer = self._runtime.producer
        if rules.version not in self._told:
            await producer.send(RULESETS, [(key, value, None) for key, value in rules.content])
            self._told.add(rules.version)
        await producer.send(EVALUATIONS, [(*encode_run(account), None) for account in changed])

    def _word(self, message: Evaluated, rules: Rules, found: list[Detection], signals: list[Signal]) -> None:
        """Add the detections and signals of one message, in the words in which they may be told."""
        if message.source is None or not message.matches:
            return
        views: Sequence[View] = message.views
        identified: Sequence[Identified] = message.identified
        source = message.source
        namespace = message.header.namespace if message.header else ""
        matches = rules.exceptions.left(message.matches, views, source, namespace, self._runtime.now().date())
        if matches:
            views, identified = told(self._pseudonyms, namespace, message.views, message.identified)
        loud = [match for match in matches if match[1].id not in rules.silent]
        found += word_matches(loud, views, identified, source, ruleset_version=rules.version, index_of=self._index_of)
        signals += rules.router.signals(
            matches, views, identified, source, ruleset_version=rules.version, index_of=self._index_of
        )

    def _index_of(self, identified: Identified) -> str:
        stream = identified.document["data_stream"]
        when = dt.datetime.fromisoformat(identified.document["@timestamp"])
        return self._namer(stream["dataset"], stream["namespace"], when)


async def place_detections(sink: Sink, found: Iterable[Detection]) -> list[Message]:
    """Messages of one partition each: everything that may fold into one alert is in the same."""
    partitions = await sink.partitions(DETECTIONS)
    placed: dict[int, list[Detection]] = defaultdict(list)
    for detection in found:
        placed[partition_for("\x00".join(state_key(detection)).encode(), partitions)].append(detection)
    return [
        (None, batch, partition)
        for partition, group in placed.items()
        for batch in encode_within(group, MAX_PER_MESSAGE, MAX_MESSAGE_BYTES)
    ]
