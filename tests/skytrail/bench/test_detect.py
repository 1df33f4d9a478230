from __future__ import annotations

import itertools
import stat
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from detectors.sigma.compiled.engine import CompiledEngine
from detectors.sigma.compiled.shape import all_shapes
from ingest.schema.errors import ConfigError
from skytrail.bench import detect, detect_peers
from skytrail.bench.detect import Material, compiled, interpreted, material, measure
from skytrail.bench.detect_events import attack_like, mixed
from skytrail.bench.detect_peers import Peer, compare
from skytrail.bench.detect_result import bars
from skytrail.bench.detect_rules import built, synthetic_documents
from skytrail.demo.delivery import CLOUDTRAIL

EVENTS = 600


@pytest.fixture(scope="module")
def small() -> Material:
    return material(EVENTS, 120, [])


def _ticking() -> Callable[[], float]:
    """A clock that advances by a second each time it is asked."""
    return iter(map(float, itertools.count())).__next__


def test_the_same_seed_gives_the_same_records_and_rules() -> None:
    assert mixed(50, seed=3, end=detect.END) == mixed(50, seed=3, end=detect.END)
    assert mixed(50, seed=3, end=detect.END) != mixed(50, seed=4, end=detect.END)
    first = list(itertools.islice(synthetic_documents(3), 50))
    assert first == list(itertools.islice(synthetic_documents(3), 50))
    assert first != list(itertools.islice(synthetic_documents(4), 50))


def test_records_are_regular_and_some_are_what_rules_look_for(small: Material) -> None:
    decode = all_shapes()[CLOUDTRAIL].decoder()
    decoded = [decode(record) for record in small.records]
    assert len(decoded) == EVENTS
    assert len({event.eventName for event in decoded}) > 60
    assert len({event.userIdentity.arn for event in decoded}) > 60
    assert len(interpreted(small.rules, small.records)) > 3


def test_synthetic_rules_are_mostly_bound_to_a_call() -> None:
    rules = built(list(itertools.islice(synthetic_documents(7), 400)))
    engine = CompiledEngine(rules)
    arrangement = engine.arrangement(detect._FORMAT)
    assert arrangement is not None
    assert arrangement.keyed > 0.9 * len(rules)
    assert arrangement.gated > 0
    assert arrangement.remembered > 0
    assert (arrangement.everywhere, arrangement.interpreted) == (0, 0)


def test_both_engines_find_the_same_on_ordinary_and_on_attack_like_records(small: Material) -> None:
    records = [*small.records, *attack_like(small.records[:200])]
    assert compiled(CompiledEngine(small.rules), records) == interpreted(small.rules, records)


def test_a_measurement_holds_every_contender_and_every_promise(small: Material) -> None:
    told: list[tuple[int, int]] = []
    result = measure(small, 1, sizes=(50, 120), tell=lambda done, total: told.append((done, total)), clock=_ticking())
    names = [row.contender for row in result.rows]
    assert names[:5] == ["parse only", "decode only", "interpreter", "compiled, 50 rules", "compiled, 120 rules"]
    assert {"compiled, unique values", "compiled, attacks only", "compiled, 100 KB bodies"} <= set(names)
    assert result.disagreements == []
    assert [bar.bar.split(" at ")[0] for bar in result.bars] == [
        "times as fast as the interpreter",
        "events/s of one core",
    ]
    assert set(result.arrangements) == {50, 120}
    assert told[-1] == (2, 2)


def test_promises_are_judged_by_ratios() -> None:
    kept = {bar.bar: bar.kept for bar in bars(12e-5, {300: 1e-5, 3_000: 1.6e-5, 10_000: 2e-5}, (300, 3_000, 10_000))}
    assert list(kept.values()) == [True, False, True, False]


def _script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def _lister(home: Path, rules: Path, events: Path) -> list[str]:
    return [str(home / "bin" / "python"), str(rules), str(events)]


def _by_line(printed: bytes) -> Counter[str]:
    return Counter(orjson.loads(line)["id"] for line in printed.splitlines())


def test_a_peer_is_compared_on_the_same_rules_and_records(
    small: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a stand-in that reads what it is given for a while, and says that one rule fired once
    _script(
        tmp_path / "peer" / "bin" / "python",
        """ls "$1" | grep -c yml > "$0.rules"; n=$(($(wc -l < "$2") * 100)); while [ $n -gt 0 ]; do n=$((n-1)); done
echo '{"id":"none of ours"}'""",
    )
    monkeypatch.setattr(detect_peers, "PEERS", (Peer("peer", ("x==1",), _lister, _by_line),))
    ours, theirs = compare(small, tmp_path, size=100, rounds=1)
    assert (ours.engine, theirs.engine) == ("skytrail", "peer")
    assert ours.rules == theirs.rules == int((tmp_path / "peer" / "bin" / "python.rules").read_text())
    assert theirs.hits == 1
    assert theirs.disagree == ours.hits + 1
    assert [path.name for path in tmp_path.iterdir()] == ["peer"]


def test_a_peer_that_fails_says_why(small: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _script(tmp_path / "peer" / "bin" / "python", "echo 'no such operator' >&2; exit 3")
    monkeypatch.setattr(detect_peers, "PEERS", (Peer("peer", ("x==1",), _lister, _by_line),))
    with pytest.raises(ConfigError, match="no such operator"):
        compare(small, tmp_path, size=10, rounds=1)


def test_without_any_peer_there_is_nothing_to_compare(
    small: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(detect_peers, "PEERS", (Peer("absent", (), lambda *_: ["no-such-program"], _by_line),))
    monkeypatch.setattr(detect_peers, "_rsigma", lambda *_: ["no-such-program"])
    with pytest.raises(ConfigError, match="none could be installed"):
        compare(small, tmp_path, size=10, rounds=1, tell=told.append)
    assert "cargo install" in told[0]
