"""What detection costs per event: from the bytes of a record to the rules that hold on it."""

from __future__ import annotations

import datetime as dt
import itertools
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from detectors.proving import no_file
from detectors.rule import Rule
from detectors.rulebook import load
from detectors.sigma.compiled.document import view_of
from detectors.sigma.compiled.engine import CompiledEngine
from detectors.sigma.compiled.gate import best_search
from detectors.sigma.compiled.shape import all_shapes
from detectors.sigma.engine import InterpretedEngine
from ingest.formats.contract import Format
from ingest.formats.registry import format_named
from skytrail.bench.detect_events import attack_like, mixed
from skytrail.bench.detect_result import Match, Result, Row, bars
from skytrail.bench.detect_rules import Document, built, documents_in, own_documents, synthetic_documents
from skytrail.bench.rounds import Clock, Contender, Tell, best_of
from skytrail.bench.samples import HARD, LARGE_BYTES, SEED, everyday, hard
from skytrail.demo.delivery import AUDIT, CLOUDTRAIL

END: Final = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
"""End of the first generated day; fixed, so that every run measures the same bytes."""
SIZES: Final = (300, 1_000, 3_000, 10_000)
ENVELOPE: Final = 500  # records that are given at a time
NOISY: Final = 0.05
"""Share of the events on which a rule may fire; one that fires on more would be switched off by whoever ran it."""
_SAMPLED: Final = 500
_INTERPRETED: Final = 300
_HARD_SHARE: Final = 4
_LARGE_SHARE: Final = 100
_FORMAT: Final = format_named(CLOUDTRAIL)


@dataclass(frozen=True, slots=True)
class Material:
    """What is measured: records, and rules of which each set takes the first ones.

    Attributes:
        left_out: Titles of noisy rules → share of the sampled events they fired on.
        noisy: Those rules.
    """

    records: list[bytes]
    documents: list[Document]
    rules: list[Rule]
    left_out: Mapping[str, float]
    noisy: list[Rule]


@dataclass(slots=True)
class _Entry:
    """A contender with what its time is to be divided by."""

    contender: Contender
    rules: int
    records: int
    hits: int | None = None
    build_ms: int | None = None


def material(count: int, most_rules: int, directories: Sequence[Path], *, seed: int = SEED) -> Material:
    """Generate records, and collect and generate rules.

    Args:
        count: Records.
        most_rules: Rules.
        directories: Sigma rules to take besides ours.
        seed: Of everything generated.
    """
    records = mixed(count, seed=seed, end=END)
    known = [*own_documents(), *documents_in(directories)]
    shares = _shares(built(known), records[:: max(1, len(records) // _SAMPLED)])
    left_out = {title: share for title, share in shares.items() if share > NOISY}
    documents = [document for document in known if document["title"] not in left_out][:most_rules]
    documents.extend(itertools.islice(synthetic_documents(seed), most_rules - len(documents)))
    noisy = built([document for document in known if document["title"] in left_out])
    return Material(records, documents, built(documents), left_out, noisy)


def measure(
    given: Material,
    rounds: int,
    *,
    sizes: Sequence[int] = SIZES,
    tell: Tell = lambda _done, _all: None,
    clock: Clock = time.process_time,
) -> Result:
    """Measure the interpreter at the first number of rules and the compiled engine at every one, in turns.

    Args:
        given: Records and rules.
        rounds: Measured rounds; the best counts.
        sizes: Numbers of rules, the base first.
        tell: Hears about progress.
        clock: Seconds of CPU.
    """
    records = given.records
    result = Result(len(records), round(sum(map(len, records)) / len(records)), best_search().__name__, given.left_out)
    few = records[:: max(1, len(records) // _INTERPRETED)]
    base = given.rules[: sizes[0]]
    wanted, got = Counter(interpreted(base, few)), Counter(compiled(CompiledEngine(base), few))
    result.disagreements.extend((wanted - got) + (got - wanted))
    entries = [
        _Entry(Contender("parse only", _over(orjson.loads, _cold(records))), 0, len(records)),
        _Entry(Contender("decode only", _over(all_shapes()[CLOUDTRAIL].decoder(), _cold(records))), 0, len(records)),
        _Entry(Contender("interpreter", lambda: interpreted(base, few)), len(base), len(few), wanted.total()),
    ]
    sized = {size: _sized(given, size, result, clock) for size in sizes}
    entries.extend(sized.values())
    entries.append(_kubernetes(len(records)))
    entries.extend(_hard_ones(given, base, rounds))
    best = best_of([entry.contender for entry in entries], rounds, clock=clock, tell=tell)
    per_event = {entry.contender.name: best[entry.contender.name] / entry.records for entry in entries}
    unit = per_event[sized[sizes[0]].contender.name]
    result.rows.extend(_row(entry, per_event[entry.contender.name], unit) for entry in entries)
    by_size = {size: per_event[entry.contender.name] for size, entry in sized.items()}
    result.bars.extend(bars(per_event["interpreter"], by_size, sizes))
    return result


def interpreted(rules: Sequence[Rule], records: Sequence[bytes]) -> list[Match]:
    """Matches of the plain interpreter, each record parsed anew, its document made when a rule asks for it."""
    engine = InterpretedEngine(rules)
    found: list[Match] = []
    for index, record in enumerate(records):
        view = view_of(index, _FORMAT.read(record), None)
        found.extend((index, rule.id) for _, rule in engine.match([view], _FORMAT.log_source))
    return found


def compiled(engine: CompiledEngine, records: Sequence[bytes], format_: Format = _FORMAT) -> list[Match]:
    """Matches of the compiled engine, given as many records at a time as an envelope holds."""
    found: list[Match] = []
    for start in range(0, len(records), ENVELOPE):
        matches = engine.match_raw(records[start : start + ENVELOPE], format_)
        found.extend((start + index, rule.id) for index, rule in matches)
    return found


def fresh(rules: Sequence[Rule]) -> CompiledEngine:
    """An engine that is built and remembers nothing yet."""
    engine = CompiledEngine(rules)
    engine.arrangement(_FORMAT)
    return engine


def _sized(given: Material, size: int, result: Result, clock: Clock) -> _Entry:
    """The compiled engine with so many rules."""
    began = clock()
    engine = CompiledEngine(given.rules[:size])
    arrangement = engine.arrangement(_FORMAT)  # builds it
    build_ms = round((clock() - began) * 1000)
    if arrangement:
        result.arrangements[size] = arrangement
    hits, own = len(compiled(engine, given.records)), _cold(given.records)
    return _Entry(Contender(f"compiled, {size} rules", lambda: compiled(engine, own)), size, len(own), hits, build_ms)


def _kubernetes(count: int) -> _Entry:
    """The rules that are shipped, on the audit log of the demo's clusters."""
    format_, engine = format_named(AUDIT), CompiledEngine(load(prove=no_file).rules)
    own = _cold(everyday(AUDIT, count, seed=SEED, end=END))
    hits = len(compiled(engine, own, format_))
    rules = len(engine.rules_for(format_.log_source))
    name = "compiled, kubernetes.audit with the shipped rules"
    return _Entry(Contender(name, lambda: compiled(engine, own, format_)), rules, len(own), hits)


def _hard_ones(given: Material, rules: Sequence[Rule], rounds: int) -> Iterator[_Entry]:
    """The compiled engine at the base, with what costs it most."""
    size, records = len(rules), given.records
    own = _cold(records)
    yield _Entry(Contender("compiled, nothing remembered yet", _forgetful(rules, own, rounds)), size, len(own))
    for kind, change in _changes().items():
        few = change(records[:: _LARGE_SHARE if str(LARGE_BYTES // 1000) in kind else _HARD_SHARE])
        yield _Entry(Contender(f"compiled, {kind}", _forgetful(rules, few, rounds)), size, len(few))
    if given.noisy:
        engine, few = fresh([*rules, *given.noisy]), _cold(records[::_HARD_SHARE])
        hits = len(compiled(engine, few))
        name = "compiled, with the rules left out as noisy"
        yield _Entry(Contender(name, lambda: compiled(engine, few)), size + len(given.noisy), len(few), hits)


def _changes() -> Mapping[str, Callable[[list[bytes]], list[bytes]]]:
    kinds: dict[str, Callable[[list[bytes]], list[bytes]]] = {
        kind: (lambda records, kind=kind: hard(kind, CLOUDTRAIL, records))  # type: ignore[misc]
        for kind in HARD
    }
    return {"attacks only": attack_like, **kinds}


def _forgetful(rules: Sequence[Rule], records: Sequence[bytes], rounds: int) -> Callable[[], object]:
    """Matches with an engine that remembers nothing yet, so that new values are new each time."""
    engines = iter([fresh(rules) for _ in range(rounds + 1)])
    return lambda: compiled(next(engines), records)


def _over(run: Callable[[bytes], object], records: Sequence[bytes]) -> Callable[[], object]:
    """Does it with each record; results are dropped at once."""
    return lambda: deque(map(run, records), maxlen=0)


def _cold(records: Sequence[bytes]) -> list[bytes]:
    """Own copies: a contender must not find in the caches what the one before has just read."""
    return list(map(bytes, map(bytearray, records)))


def _row(entry: _Entry, seconds: float, unit: float) -> Row:
    return Row(
        contender=entry.contender.name,
        rules=entry.rules,
        records=entry.records,
        us_per_event=round(seconds * 1e6, 2),
        events_per_s=round(1 / seconds),
        times_base=round(seconds / unit, 2),
        hits=entry.hits,
        build_ms=entry.build_ms,
    )


def _shares(rules: Sequence[Rule], records: Sequence[bytes]) -> dict[str, float]:
    """Titles of rules → share of the records they fire on."""
    titles = {rule.id: rule.title for rule in rules}
    counted = Counter(rule_id for _, rule_id in interpreted(rules, records))
    return {titles[rule_id]: round(count / len(records), 3) for rule_id, count in counted.items()}
