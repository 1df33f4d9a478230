"""Time of the whole command `skytrail scan`, beside other open Sigma engines on the same file and rules.

Unlike in `detect_peers.py` nothing is taken off: starting, reading the rules and printing the hits count, and every
engine may use all cores. Contenders take turns; the best time of each counts.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from ingest.schema.errors import ConfigError
from skytrail.bench.detect import Material
from skytrail.bench.detect_peers import Hits, Peer, portable, write_material
from skytrail.demo.delivery import CLOUDTRAIL
from skytrail.settings import environment_without_settings

OURS: Final = "skytrail"
_TIMEOUT_S: Final = 1800
_SHOWN: Final = 500  # characters of what a failed command said


@dataclass(frozen=True, slots=True)
class ScanRow:
    """One engine.

    Attributes:
        seconds: From start to end of the command.
        cpu_seconds: Of all its processes.
        times_ours: Its `seconds` in terms of ours.
        disagree: Hits that only it or only we have, rule by rule.
    """

    engine: str
    rules: int
    events: int
    seconds: float
    cpu_seconds: float
    events_per_s: int
    times_ours: float
    hits: int
    disagree: int


@dataclass(frozen=True, slots=True)
class _Contender:
    name: str
    command: list[str]
    hits: Callable[[bytes], Hits]


@dataclass(frozen=True, slots=True)
class _Run:
    seconds: float
    cpu_seconds: float
    hits: Hits


def measure_scan(
    given: Material, home: Path, peers: Sequence[Peer], *, size: int, rounds: int, tell: Callable[[str], None]
) -> list[ScanRow]:
    """Time our scan and peers; ours comes first.

    Args:
        given: Records and rules.
        home: Directory of the peers' environments; the generated files lie there, too.
        peers: As `ready_peers` found them.
        size: Number of rules.
        rounds: Each runs so often, in turns; the best counts.
        tell: Hears what is going on.

    Raises:
        ConfigError: A command failed.
    """
    documents, rules = portable(given, size)
    names = {rule.id: rule.uuid or rule.id for rule in rules}
    with tempfile.TemporaryDirectory(dir=home) as folder:
        work = Path(folder)
        write_material(work, documents, given.records)
        events = work / "all.ndjson"
        contenders = [_Contender(OURS, _scan(work / "rules", events), lambda printed: _hits(printed, names))]
        contenders += [
            _Contender(peer.name, peer.command(home / peer.name, work / "rules", events), peer.hits) for peer in peers
        ]
        best = _best(contenders, rounds, tell)
    ours = best[OURS]
    return [_row(name, len(rules), len(given.records), run, ours) for name, run in best.items()]


def _scan(rules: Path, events: Path) -> list[str]:
    scan = [sys.executable, "-m", "skytrail", "scan", str(events), "--format", CLOUDTRAIL, "--rules", str(rules)]
    return [*scan, "-q", "-o", "jsonl"]


def _hits(printed: bytes, names: dict[str, str]) -> Hits:
    found = (orjson.loads(line)["rule_id"] for line in printed.splitlines())
    return Counter(names.get(rule, rule) for rule in found)


def _best(contenders: Sequence[_Contender], rounds: int, tell: Callable[[str], None]) -> dict[str, _Run]:
    best: dict[str, _Run] = {}
    for number in range(rounds):
        for one in contenders:
            tell(f"{one.name}, round {number + 1} of {rounds}")
            run = _timed(one)
            if one.name not in best or run.seconds < best[one.name].seconds:
                best[one.name] = run
    return best


def _timed(one: _Contender) -> _Run:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            one.command, check=True, capture_output=True, timeout=_TIMEOUT_S, env=_environment()
        )
    except (subprocess.SubprocessError, OSError) as exc:
        said = (getattr(exc, "stderr", None) or b"")[-_SHOWN:].decode("utf-8", "replace")
        raise ConfigError(f"measuring {one.name}: {exc}; it said: {said}", mend="run its command by itself") from exc
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return _Run(seconds, cpu, one.hits(done.stdout))


def _environment() -> dict[str, str]:
    """Of all contenders: those in Python keep their bytecode from the first round on, as where people work."""
    return {name: each for name, each in environment_without_settings().items() if name != "PYTHONDONTWRITEBYTECODE"}


def _row(name: str, rules: int, events: int, run: _Run, ours: _Run) -> ScanRow:
    return ScanRow(
        engine=name,
        rules=rules,
        events=events,
        seconds=round(run.seconds, 2),
        cpu_seconds=round(run.cpu_seconds, 2),
        events_per_s=round(events / run.seconds),
        times_ours=round(run.seconds / ours.seconds, 2),
        hits=run.hits.total(),
        disagree=sum(abs(run.hits[rule] - ours.hits[rule]) for rule in run.hits | ours.hits),
    )
