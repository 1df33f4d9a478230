"""What is remembered has a bound, whatever clients send."""

from __future__ import annotations

import json
from typing import Any

import pytest

from detectors.sigma.compiled import raw as raw_module
from detectors.sigma.compiled import regular, views
from detectors.sigma.compiled.engine import CompiledEngine
from detectors.sigma.compiled.memo import LONGEST_TEXT, Memo
from ingest.formats.registry import format_named
from tests.detectors.sigma.building import rule
from tests.detectors.sigma.compiled.oracle import fail, interpreted, over_views, raw

TRAIL = format_named("aws.cloudtrail")
RULES = [
    rule({"s": {"eventName|startswith": "Stop", "errorCode": None}, "condition": "s"}, name="stop"),
    rule({"s": {"userAgent|contains": "pacu"}, "condition": "s"}, name="agent"),
    rule({"s": {"userIdentity.arn|endswith": "/root"}, "condition": "s"}, name="arn"),
]


def record(number: int, size: int = 0) -> bytes:
    name = "root" if number % 3 == 0 else "a"
    event: dict[str, Any] = {
        "eventName": f"{'Stop' if number % 7 == 0 else 'Get'}{number}{'x' * size}",
        "eventSource": f"s{number}.amazonaws.com",
        "eventTime": "2026-11-22T03:04:05Z",
        "userAgent": f"{'pacu' if number % 5 == 0 else 'cli'}/{number}{'y' * size}",
        "userIdentity": {"type": f"T{number}", "arn": f"arn:aws:iam::{number}:user/{name}"},
    }
    return json.dumps(event).encode()


def test_a_memo_forgets_the_oldest_generation() -> None:
    memo: Memo[int, int] = Memo(10)
    for number in range(100):
        memo.put(number, number)
        assert len(memo) <= 20
    assert 99 in memo.young
    assert memo.older(0) is None


def test_what_is_asked_for_again_stays() -> None:
    memo: Memo[int, int] = Memo(10)
    memo.put(-1, 7)
    for number in range(100):
        memo.put(number, number)
        assert memo.young.get(-1) == 7 or memo.older(-1) == 7


def test_a_hot_loop_may_keep_the_young_generation() -> None:
    memo: Memo[int, int] = Memo(2)
    young = memo.young
    for number in range(5):
        memo.put(number, number)
    assert young is memo.young
    assert young == {4: 4}


def test_a_flood_of_new_values_neither_grows_memory_nor_changes_results(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (raw_module, views):
        monkeypatch.setattr(module, "KEYS_REMEMBERED", 50)
    for module in (regular, views):
        monkeypatch.setattr(module, "VALUES_REMEMBERED", 20)
    records = [record(number) for number in range(600)]
    engine = CompiledEngine(RULES, on_error=fail)
    wanted = interpreted(RULES, records, TRAIL)
    assert raw(engine, records, TRAIL) == wanted
    assert over_views(engine, records, TRAIL) == wanted
    assert {name: size for name, size in engine.remembered(TRAIL).items() if size > 100} == {}
    assert max(engine.remembered(TRAIL).values()) > 20


def test_long_texts_are_not_remembered() -> None:
    records = [record(number, size=LONGEST_TEXT) for number in range(30)]
    engine = CompiledEngine(RULES, on_error=fail)
    assert raw(engine, records, TRAIL) == interpreted(RULES, records, TRAIL)
    remembered = engine.remembered(TRAIL)
    assert remembered["decisions"] == 0
    assert remembered["quiet keys"] == 0
    assert remembered["userAgent"] == 0
    assert remembered["userIdentity.arn"] == 30
