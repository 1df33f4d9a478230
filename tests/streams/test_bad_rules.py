"""Rules that are broken, or raise, in a worker: told, counted per rule, and the others go on."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from structlog.testing import capture_logs

from detectors.detection import decode
from detectors.rulebook import Rulebook, load
from detectors.sigma.ast import FieldMatch, Regex
from detectors.sigma.compiled.engine import CompiledEngine
from detectors.sigma.engine import InterpretedEngine
from ingest.schema.envelope import Position, encode, pack
from storage.settings import ElasticsearchSettings
from streams.agents.detect import DetectAgent
from streams.keep_out import keep_out
from streams.naming import namer
from streams.preparing import Limits, prepare
from streams.roles import rules_builder
from streams.rule_reload import RuleReload, announce
from streams.telemetry import Telemetry
from streams.topics import DETECTIONS, raw_topic
from tests.faults.material import CLOUDTRAIL, header
from tests.skytrail.scan.events import RULE, call, rules
from tests.streams.fakes import Brokers, accounts_on, runtime_on

RAISES = FieldMatch("eventName", Regex("("))  # no such pattern gets past the parser
FAILING = RULE.replace("test-trail", "failing").replace("3c1f6a8e", "4c1f6a8e") + (
    "tests: [{name: a miss, fires: true, event: " + json.dumps(call(1)) + "}]\n"
)
EXCEPTION = """\
title: Known
name: known
logsource: {product: aws, service: cloudtrail}
filter: {rules: any, s: {eventName: ListBuckets}, condition: not s}
owner: us
justification: test
expires: 2999-12-31
"""


def value(telemetry: Telemetry, name: str, **labels: str) -> float:
    return telemetry.registry.get_sample_value(name, labels) or 0.0


async def detected(brokers: Brokers, book: Rulebook) -> tuple[list[str], Telemetry]:
    """The ids of rules whose matches the detect agent tells for two events, now."""
    now = dt.datetime.now(dt.UTC).isoformat()
    events = [call(1, "StopLogging", eventTime=now), call(2, eventTime=now)]
    records = [json.dumps(event).encode() for event in events]
    for envelope in pack(header("default", CLOUDTRAIL), records):
        brokers.append(raw_topic(CLOUDTRAIL), (None, encode(envelope), 0))
    runtime = runtime_on("detect", brokers)
    in_force = rules_builder(runtime)(book)
    assert isinstance(in_force.engine, CompiledEngine)
    agent = DetectAgent(
        runtime,
        accounts_on("detect", brokers),
        in_force,
        namer=namer(ElasticsearchSettings()),
        limits=Limits.of(24, 3660),
    )
    for batch in brokers.batches("detect", raw_topic(CLOUDTRAIL), 10):
        await agent.handle(batch)
    told = [detection.rule_id for message in brokers.values(DETECTIONS) for detection in decode(message)]
    return sorted(told), runtime.telemetry


async def test_a_rule_that_raises_is_counted_by_its_id_and_the_others_alert(tmp_path: Path) -> None:
    book = load([rules(tmp_path / "rules")])
    broken = dataclasses.replace(book.rules[0], id="broken", uuid="", condition=RAISES)
    told, telemetry = await detected(Brokers(), dataclasses.replace(book, rules=(broken, *book.rules)))
    assert told == ["test-buckets-listed", "test-trail-stopped"]
    assert value(telemetry, "skytrail_rule_errors_total", rule_id="broken") == 2


async def test_an_exception_that_raises_hides_nothing_and_is_counted(tmp_path: Path) -> None:
    directory = rules(tmp_path / "rules")
    (directory / "known.yml").write_text(EXCEPTION)
    book = load([directory])
    told, telemetry = await detected(Brokers(), book)
    assert told == ["test-trail-stopped"]
    assert value(telemetry, "skytrail_matches_excepted_total", exception="known", rule_id="test-buckets-listed") == 1
    raising = tuple(dataclasses.replace(one, keeps=RAISES) for one in book.exceptions)
    told, telemetry = await detected(Brokers(), dataclasses.replace(book, exceptions=raising))
    assert told == ["test-buckets-listed", "test-trail-stopped"]
    assert value(telemetry, "skytrail_rule_errors_total", rule_id="known") == 2


def test_a_worker_says_loudly_which_rules_it_leaves_out_and_counts_them(tmp_path: Path) -> None:
    directory = rules(tmp_path / "rules")
    (directory / "syntax.yml").write_text("title: [unclosed")
    (directory / "failing.yml").write_text(FAILING)
    telemetry = Telemetry()
    with capture_logs() as logs:
        announce(load([directory]), telemetry)
    assert [(Path(line["file"]).name, line["log_level"]) for line in logs] == [
        ("failing.yml", "error"),
        ("syntax.yml", "error"),
    ]
    assert logs[0]["rule_id"] == "failing-stopped"
    assert "did not fire" in logs[0]["reasons"][0]
    assert value(telemetry, "skytrail_rules_loaded") == value(telemetry, "skytrail_rules_refused") == 2


async def test_a_rule_whose_tests_fail_after_a_change_does_not_come_into_force(tmp_path: Path) -> None:
    directory = rules(tmp_path / "rules")
    telemetry = Telemetry()
    used: list[Rulebook] = []
    told: list[tuple[str, ...]] = []

    async def tell(reasons: Sequence[str], _: Mapping[str, str]) -> None:
        told.append(tuple(reasons))

    reload = RuleReload(
        load([directory]),
        [directory],
        load=lambda: load([directory]),
        build=lambda book: book,
        use=lambda book, _: used.append(book),
        telemetry=telemetry,
        tell=tell,
    )
    (directory / "failing.yml").write_text(FAILING)
    with capture_logs() as logs:
        assert await reload.look(at_once=True) == "refused"
    assert len(told) == 1
    assert "did not fire" in logs[0]["reasons"][0]
    assert used == []
    assert value(telemetry, "skytrail_rule_reloads_total", outcome="refused") == 1


def test_a_filter_of_the_index_that_raises_keeps_nothing_out(tmp_path: Path) -> None:
    book = load([rules(tmp_path / "rules")])
    told: list[str] = []
    broken = dataclasses.replace(book.rules[0], condition=RAISES)
    engine = InterpretedEngine([broken], on_error=lambda rule, _: told.append(rule.id))
    (envelope,) = pack(header("default", CLOUDTRAIL), [json.dumps(call(1)).encode()])
    now = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
    message = prepare(encode(envelope), Position(raw_topic(CLOUDTRAIL), 0, 0, 0), now, Limits.of(24, 3660))
    assert keep_out(engine)(message) == {}
    assert told == [broken.id]
