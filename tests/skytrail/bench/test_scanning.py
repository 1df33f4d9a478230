"""The measurement of the whole command `scan`, without peers."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from detectors.sigma.compiled.engine import CompiledEngine
from ingest.schema.errors import ConfigError
from skytrail.bench import scanning
from skytrail.bench.detect import Material, compiled, material
from skytrail.bench.detect_peers import Peer, portable

RULES = 200


@pytest.fixture(scope="module")
def given() -> Material:
    return material(3_000, RULES, [])


def peer_that(tmp_path: Path, says: str) -> Peer:
    """A peer that is a shell script."""
    program = tmp_path / "peer.sh"
    program.write_text(f"#!/bin/sh\n{says}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return Peer("script", (), lambda _home, _rules, _events: [str(program)], lambda _printed: scanning.Hits())


def test_the_command_finds_what_the_engine_finds_and_a_peer_that_finds_nothing_disagrees(
    given: Material, tmp_path: Path
) -> None:
    _, rules = portable(given, RULES)
    others = [peer_that(tmp_path, "exit 0")]
    ours, other = scanning.measure_scan(given, tmp_path, others, size=RULES, rounds=1, tell=lambda _: None)
    assert ours.hits == len(compiled(CompiledEngine(rules), given.records)) > 0
    assert (ours.events, ours.disagree, ours.times_ours) == (3_000, 0, 1)
    assert (other.hits, other.disagree) == (0, ours.hits)


def test_a_peer_that_fails_is_named_with_its_words(given: Material, tmp_path: Path) -> None:
    others = [peer_that(tmp_path, "echo no such rule >&2; exit 3")]
    with pytest.raises(ConfigError, match=r"measuring script.*no such rule"):
        scanning.measure_scan(given, tmp_path, others, size=RULES, rounds=1, tell=lambda _: None)
