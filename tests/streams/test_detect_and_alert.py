"""The detect role dies at any step, again and again: every alert is told, with the exact count."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import random
from typing import Any, Literal

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.proving import OWN_RULES, no_file
from detectors.rule import Rule
from detectors.rulebook import load
from detectors.sigma.engine import InterpretedEngine
from ingest.schema import dead_letter
from ingest.schema.envelope import encode, pack
from storage.index.alert_store import AlertStore
from storage.retention.stamping import Stamps
from storage.settings import ElasticsearchSettings
from streams.agents.alert import AlertAgent
from streams.agents.detect import DetectAgent, Rules
from streams.naming import namer
from streams.preparing import Limits
from streams.stamping import DocumentStamps
from streams.status import summarise
from streams.topics import ALERT_STATE, ALERTS, DEAD_LETTERS, DETECTIONS, raw_topic
from streams.windows import Windows
from tests.faults.material import CLOUDTRAIL, cloudtrail, header
from tests.faults.oracle import expectation
from tests.streams.adopted import Adopted
from tests.streams.fakes import PARTITIONS, Brokers, Faults, Index, Killed, accounts_on, runtime_on, snapshots_on

RAW = raw_topic(CLOUDTRAIL)
RECORDS = [r for r in cloudtrail(random.Random(3), 400, dt.datetime.now(dt.UTC)) if b'"readOnly":false' in r][:8]
UNSTAMPED = DocumentStamps()
LIVES = st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["lost", "applied"])), max_size=5)
STREAMS = st.lists(
    st.tuples(st.integers(0, PARTITIONS - 1), st.lists(st.sampled_from(RECORDS), min_size=1, max_size=4)),
    min_size=1,
    max_size=6,
)


@functools.cache
def engine() -> InterpretedEngine:
    """The shipped rules for AWS; loaded once, since loading runs the tests of every one."""
    return InterpretedEngine(load([OWN_RULES / "aws"], {}, prove=no_file).rules)


@functools.cache
def rules() -> dict[str, Rule]:
    return {rule.id: rule for rule in engine().rules}


async def detect_life(brokers: Brokers, size: int) -> None:
    agent = DetectAgent(
        runtime_on("detect", brokers),
        accounts_on("detect", brokers),
        Rules(engine(), "1"),
        namer=namer(ElasticsearchSettings()),
        limits=Limits.of(24, 3660),
    )
    for batch in brokers.batches("detect", RAW, size):
        await agent.handle(batch)


async def alert_life(
    brokers: Brokers, index: Index, size: int, interval_s: float = 0.0, stamps: DocumentStamps = UNSTAMPED
) -> None:
    agent = AlertAgent(
        runtime_on("detect", brokers),
        accounts_on("alert", brokers),
        Windows(snapshots_on(brokers, ALERT_STATE, DETECTIONS, interval_s), lambda: dt.datetime.now(dt.UTC)),
        AlertStore(index, {}),
        rule_of=rules().get,
        stamps=stamps,
    )
    for batch in brokers.batches("alert", DETECTIONS, size):
        await agent.handle(batch)


async def until_done(brokers: Brokers, index: Index, size: int, interval_s: float = 0.0) -> None:
    while True:
        try:
            await detect_life(brokers, size)
            await alert_life(brokers, index, size, interval_s)
        except Killed:
            brokers.faults.reborn()
        else:
            return


def told(index: Index) -> dict[tuple[str, str], list[int]]:
    found: dict[tuple[str, str], list[int]] = {}
    for (name, _), document in index.documents.items():
        if name == "skytrail-alert-state":
            alert: Any = document["skytrail"]["alert"]
            rule = next(d for (_, key), d in index.documents.items() if key == alert_id(document))["rule"]["id"]
            found.setdefault((rule, alert["group_key"]), []).append(alert["count"])
    return found


def alert_id(state: dict[str, Any]) -> str:
    return str(state["skytrail"]["alert"]["id"])


@settings(max_examples=50, deadline=None)
@given(stream=STREAMS, lives=LIVES, size=st.integers(1, 4), interval_s=st.sampled_from([0.0, 1.0]))
def test_alerts_and_their_counts_are_exact_wherever_the_role_dies(
    stream: list[tuple[int, list[bytes]]],
    lives: list[tuple[int, Literal["lost", "applied"]]],
    size: int,
    interval_s: float,
) -> None:
    brokers = Brokers(Faults(list(lives)))
    index = Whole(brokers.faults)
    for partition, records in stream:
        brokers.append(RAW, (None, encode(pack(header("unit", CLOUDTRAIL), records)[0]), partition))
    asyncio.run(until_done(brokers, index, size, interval_s))
    raw = {
        (RAW, partition): {offset: value for offset, (_, value) in enumerate(brokers.topics.get((RAW, partition), []))}
        for partition in range(PARTITIONS)
    }
    assert told(index) == expectation(raw, "unit", engine()).alerts
    alerts = {key for name, key in index.documents if name.startswith("logs-skytrail.alert-unit-")}
    assert alerts == {key for name, key in index.documents if name == "skytrail-alert-state"}
    assert alerts == {orjson.loads(value)["event"]["id"] for value in brokers.values(ALERTS)}
    (row,) = summarise(brokers.accounts(), {}, [CLOUDTRAIL], "unit").sources
    assert row.evaluated == sum(len(records) for _, records in stream)


class Whole(Index):
    """Keeps whole states: an update replaces parts of what is there, as Elasticsearch merges it."""

    def _apply(self, items: Any, part: range, outcome: Any) -> None:
        for place in part:
            item = items[place]
            before = self.documents.get((item.index, item.id))
            super()._apply(items, range(place, place + 1), outcome)
            if item.operation == "update" and before is not None:
                self.documents[item.index, item.id] = merged(before, orjson.loads(item.body)["doc"])


def merged(old: Any, new: Any) -> Any:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {key: merged(old.get(key), new[key]) if key in new else old[key] for key in old | new}


async def test_a_message_that_holds_no_detections_is_a_dead_letter_and_the_next_ones_go_on() -> None:
    brokers = Brokers()
    index = Whole(brokers.faults)
    brokers.append(DETECTIONS, (None, b"\x09garbage", 0))
    brokers.append(DETECTIONS, (None, b"", 0))
    brokers.append(RAW, (None, encode(pack(header("unit", CLOUDTRAIL), RECORDS)[0]), 0))
    await until_done(brokers, index, 2)
    assert [dead_letter.decode(value).stage for value in brokers.values(DEAD_LETTERS)] == ["alert", "alert"]
    assert sum(map(sum, told(index).values())) == len(RECORDS)


async def test_an_alert_carries_the_stamp_of_the_policy() -> None:
    brokers, stamps = Brokers(), DocumentStamps(Stamps(Adopted()))  # type: ignore[arg-type]
    index = Index(brokers.faults)
    for records in RECORDS:
        brokers.append(RAW, (None, encode(pack(header("unit", CLOUDTRAIL), [records])[0]), 0))
    await detect_life(brokers, 1)
    await alert_life(brokers, index, 1, stamps=stamps)
    alerts = [document for (name, _), document in index.documents.items() if name != "skytrail-alert-state"]
    assert alerts
    assert {document["skytrail"]["retention"]["class"] for document in alerts} == {"everything"}
    published = [orjson.loads(value) for value in brokers.values(ALERTS)]
    assert all(each["skytrail"]["retention"]["class"] == "everything" for each in published)
