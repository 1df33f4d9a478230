"""Other open Sigma engines on the same records and rules, each as its makers run it, in a process of its own.

tenzir and zargunlite are installed from their wheels into environments of their own; rsigma is used where it is
installed. What a peer needs to start and to read the rules is measured with one record and taken off, so that only the
cost of an event is compared. Hits are compared rule by rule.

https://docs.tenzir.com/reference/operators/sigma  https://pypi.org/project/zargunlite/  https://docs.rs/crate/rsigma
"""

from __future__ import annotations

import gc
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
import yaml

from detectors.rule import Rule
from detectors.sigma.ast import fields_of
from detectors.sigma.compiled.shape import all_shapes
from ingest.schema.errors import ConfigError
from skytrail.bench.detect import Material, compiled, fresh
from skytrail.bench.detect_result import Match
from skytrail.bench.detect_rules import Document
from skytrail.demo.delivery import CLOUDTRAIL

_TIMEOUT_S: Final = 600
_INSTALL_S: Final = 900
_LEAST_S: Final = 1e-3  # what the kernel tells of CPU time is no finer
_SHOWN: Final = 500  # characters of what a failed peer said
_SIGMA_KEYS: Final = ("title", "id", "status", "level", "logsource", "detection")
_DRIVER: Final = Path(__file__).with_name("detect_zargunlite.py")

Hits = Counter[str]
"""Id of a rule → events it fired on."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another engine.

    Attributes:
        wheels: What its environment needs; empty for a program that has to be there.
        command: From the environment's directory, the rules' directory and the file of events.
        hits: Reads what it printed.
    """

    name: str
    wheels: tuple[str, ...]
    command: Callable[[Path, Path, Path], list[str]]
    hits: Callable[[bytes], Hits]


@dataclass(frozen=True, slots=True)
class PeerRow:
    """One peer, or ours in the same run.

    Attributes:
        us_per_event: CPU time of all its threads, microseconds, parsing included, start and rules not.
        times_ours: Its cost in terms of ours.
        disagree: Hits that only it or only we have, rule by rule.
        differences: Title of a rule → its hits less ours, where they differ.
    """

    engine: str
    rules: int
    us_per_event: float
    events_per_s: int
    times_ours: float
    hits: int
    disagree: int
    differences: Mapping[str, int]


def _tenzir(home: Path, rules: Path, events: Path) -> list[str]:
    flow = f'from_file "{events}" {{ read_ndjson }} | sigma path="{rules}" | select id=policy.data.id | write_ndjson'
    return [str(home / "bin" / "tenzir"), flow]


def _zargunlite(home: Path, rules: Path, events: Path) -> list[str]:
    return [str(home / "bin" / "python"), "-P", str(_DRIVER), str(rules), str(events)]


def _rsigma(home: Path, rules: Path, events: Path) -> list[str]:
    program = shutil.which("rsigma", path=str(home / "bin")) or shutil.which("rsigma") or "rsigma"
    return [program, "--output-format", "ndjson", "engine", "eval", "-q", "-r", str(rules), "-e", f"@{events}"]


def _by(name: str) -> Callable[[bytes], Hits]:
    return lambda printed: Counter(orjson.loads(line)[name] for line in printed.splitlines() if line.startswith(b"{"))


PEERS: Final = (
    Peer("tenzir", ("tenzir==6.20.0",), _tenzir, _by("id")),
    Peer("zargunlite", ("zargunlite==0.1.3", "pysigma-backend-sqlite==2.1.1"), _zargunlite, _by("id")),
    Peer("rsigma", (), _rsigma, _by("rule_id")),
)


def compare(
    given: Material, home: Path, *, size: int, rounds: int, tell: Callable[[str], None] = lambda _message: None
) -> list[PeerRow]:
    """Measure ours and every peer that is there.

    Args:
        given: Records and rules; of the rules those are taken that read only what the vendor writes.
        home: Directory of the peers' environments; made and filled when it is empty.
        size: Number of rules.
        rounds: Each runs so often, in turns; the best counts.
        tell: Hears what is going on.
    """
    documents, rules = portable(given, size)
    ready = ready_peers(home, tell)
    with tempfile.TemporaryDirectory(dir=home) as work:
        write_material(Path(work), documents, given.records)
        best = _measured(ready, home, Path(work), rounds, tell)
    return list(_rows(given.records, rules, best, rounds))


def ready_peers(home: Path, tell: Callable[[str], None]) -> list[Peer]:
    """The peers that can run here; those with wheels are installed when they are absent.

    Raises:
        ConfigError: There is none.
    """
    home.mkdir(parents=True, exist_ok=True)
    ready = [peer for peer in PEERS if _installed(peer, home / peer.name, tell)]
    if not ready:
        raise ConfigError("measuring peers: none could be installed", where=str(home), mend="see the messages above")
    return ready


def portable(given: Material, size: int) -> tuple[list[Document], list[Rule]]:
    """Rules that ask for nothing that only our document has."""
    known = all_shapes()[CLOUDTRAIL].names
    pairs = [
        (document, rule)
        for document, rule in zip(given.documents, given.rules, strict=True)
        if all(name.partition(".")[0] in known for name in fields_of(rule.condition))
    ][:size]
    return [document for document, _ in pairs], [rule for _, rule in pairs]


def write_material(work: Path, documents: Sequence[Document], records: Sequence[bytes]) -> None:
    """Rules as files below `rules`, the records in `all.ndjson`, the first of them in `one.ndjson`."""
    folder = work / "rules"
    folder.mkdir()
    for number, document in enumerate(documents):
        kept = {key: document[key] for key in _SIGMA_KEYS if key in document}
        (folder / f"{number:05}.yml").write_text(yaml.safe_dump(kept, sort_keys=False, allow_unicode=True))
    (work / "all.ndjson").write_bytes(b"\n".join(records) + b"\n")
    (work / "one.ndjson").write_bytes(records[0] + b"\n")


def _installed(peer: Peer, home: Path, tell: Callable[[str], None]) -> bool:
    """Whether it can run here; makes its environment when it has wheels."""
    if not peer.wheels:
        found = shutil.which(peer.command(home, home, home)[0]) is not None
        if not found:
            how = f"cargo install rsigma@0.23.0 --locked --root {home}"
            tell(f"{peer.name} is not installed; `{how}` does it in ten minutes")
        return found
    if (home / "bin" / "python").exists():
        return True
    tell(f"installing {peer.name}")
    try:
        for command in (
            [sys.executable, "-m", "venv", str(home)],
            [str(home / "bin" / "python"), "-m", "pip", "install", "-q", *peer.wheels],
        ):
            subprocess.run(command, check=True, capture_output=True, timeout=_INSTALL_S)  # noqa: S603 - our own words
    except (subprocess.SubprocessError, OSError) as exc:
        tell(f"{peer.name} could not be installed: {exc}")
        shutil.rmtree(home, ignore_errors=True)
        return False
    return True


def _measured(
    peers: Sequence[Peer], home: Path, work: Path, rounds: int, tell: Callable[[str], None]
) -> Mapping[str, tuple[float, Hits]]:
    """Per peer the least CPU seconds for all records but the first, and its hits."""
    took: dict[tuple[str, str], float] = {}
    hits: dict[str, Hits] = {}
    for number in range(rounds):
        for peer in peers:
            tell(f"{peer.name}, round {number + 1} of {rounds}")
            for events in ("one", "all"):
                seconds, printed = _run(peer.command(home / peer.name, work / "rules", work / f"{events}.ndjson"))
                took[peer.name, events] = min(seconds, took.get((peer.name, events), seconds))
            hits[peer.name] = peer.hits(printed)
    return {
        peer.name: (max(took[peer.name, "all"] - took[peer.name, "one"], _LEAST_S), hits[peer.name]) for peer in peers
    }


def _run(command: Sequence[str]) -> tuple[float, bytes]:
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        done = subprocess.run(command, check=True, capture_output=True, timeout=_TIMEOUT_S)  # noqa: S603 - our own words
    except (subprocess.SubprocessError, OSError) as exc:
        said = getattr(exc, "stderr", None) or b""
        raise ConfigError(
            f"measuring peer: {exc}; it said: {said[-_SHOWN:].decode('utf-8', 'replace')}",
            mend="remove its environment, so that it is installed anew, or run without --peers",
        ) from exc
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime, done.stdout


def _rows(
    records: Sequence[bytes], rules: Sequence[Rule], best: Mapping[str, tuple[float, Hits]], rounds: int
) -> Iterator[PeerRow]:
    ids = {rule.id: rule.uuid or rule.id for rule in rules}
    seconds, matches = min((_timed(rules, records) for _ in range(rounds)), key=lambda each: each[0])
    ours: Hits = Counter(ids[rule_id] for _, rule_id in matches)
    titles = {ids[rule.id]: rule.title for rule in rules}
    yield _row("skytrail", titles, seconds, seconds, len(records), ours, ours)
    for name, (others, hits) in best.items():
        yield _row(name, titles, others, seconds, len(records) - 1, hits, ours)


def _timed(rules: Sequence[Rule], records: Sequence[bytes]) -> tuple[float, list[Match]]:
    """Seconds and matches of an engine that remembers nothing yet, as the peers do; set apart as a role sets it."""
    engine = fresh(rules)
    gc.collect()
    gc.freeze()
    try:
        began = resource.getrusage(resource.RUSAGE_SELF)
        found = compiled(engine, records)
        ended = resource.getrusage(resource.RUSAGE_SELF)
    finally:
        gc.unfreeze()
    return ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime, found


def _row(
    engine: str, titles: Mapping[str, str], seconds: float, ours: float, events: int, hits: Hits, our_hits: Hits
) -> PeerRow:
    apart = {rule: hits[rule] - our_hits[rule] for rule in hits | our_hits if hits[rule] != our_hits[rule]}
    return PeerRow(
        engine=engine,
        rules=len(titles),
        us_per_event=round(seconds / events * 1e6, 2),
        events_per_s=round(events / seconds),
        times_ours=round(seconds / ours, 1),
        hits=hits.total(),
        disagree=sum(map(abs, apart.values())),
        differences={titles.get(rule, rule): number for rule, number in apart.items()},
    )
