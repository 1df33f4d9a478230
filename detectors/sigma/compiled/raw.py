"""The fast way: rules of one format over the bytes of its records.

Of a regular record only short names are decoded, bodies stay bytes. A key of few different values says which rules can
hold at all (worked out once per key), memos say it for fields like the user agent, the literal gate for what stands in
bodies. Keys and values that interest no rule are known as quiet, so that most events cost a look for each. Only an
event that a rule is still interested in is parsed as a whole; and no match is reported of a record that does not parse.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import compress
from operator import attrgetter, not_
from typing import Any, Final

from detectors.rule import Rule
from detectors.sigma.compiled.assurance import Assurance
from detectors.sigma.compiled.counts import Counts
from detectors.sigma.compiled.document import view_of
from detectors.sigma.compiled.gate import BuildSearch, Gate, Seen, best_search
from detectors.sigma.compiled.guards import Guards
from detectors.sigma.compiled.judge import Judge
from detectors.sigma.compiled.literals import literals_of
from detectors.sigma.compiled.memo import LONGEST_TEXT, Memo
from detectors.sigma.compiled.predicates import Predicate
from detectors.sigma.compiled.prepared import Decision, Prepared, prepare
from detectors.sigma.compiled.regular import FieldMemo, RegularEvent, Sources
from detectors.sigma.compiled.shape import Getter, Resolver, Shape
from detectors.sigma.compiled.tree import Anywhere, Leaf, Tree, fields_of
from detectors.sigma.compiled.views import KEYS_REMEMBERED, ViewProgram
from detectors.sigma.engine import DocumentOf, Examined, OnError
from ingest.formats.contract import Format, View
from ingest.formats.registry import registry_of
from ingest.schema.errors import RejectedRecord

BATCH: Final = 50  # records; more fall out of the second-level cache, fewer make each batch's overhead count

_PLACES: Final = range(BATCH)

Open = tuple[int, Predicate]
Read = Callable[[], View]
"""Parses the whole of a record; raises RejectedRecord when it is not one of its format."""


class RawProgram:
    """Rules of one format with a shape.

    Attributes:
        counts: What happened.
        prepared: The rules under their witnesses.
    """

    def __init__(
        self,
        rules: Sequence[tuple[int, Rule]],
        format_: Format,
        shape: Shape,
        general: ViewProgram,
        on_error: OnError | None,
        search: BuildSearch | None = None,
    ) -> None:
        self._shape = shape
        self._general = general
        self._decode = shape.decoder()
        self._irregular = shape.blank()
        self._resolver = Resolver(shape, format_.aliases, registry_of(format_))
        alone = self._resolver.from_document
        self._implied_names = frozenset(filter(alone, shape.implied(_any_key(shape))))
        derived = {name: get for name, get in shape.derived.items() if alone(name)}
        self._getters: Mapping[str, Getter] = {**self._resolver.getters, **derived}
        self._few: tuple[str, ...] = ()
        self.counts = Counts()
        self.prepared = self._prepare(rules)
        names = frozenset(name for each in self.prepared.candidates.values() for name in each.fields)
        vendors = frozenset(name for name in names if self._resolver.paths_of(name) is not None)
        bodies = {name: body for name in vendors if (body := self._resolver.body_of(name))}
        written = {path: path.rpartition(".")[2].encode() for path in self._resolver.getters}
        self._sources = Sources(self._getters, bodies, written, vendors, format_.aliases)
        self._judge = Judge(self.prepared, on_error)
        self._decisions: Memo[tuple[Any, ...], Decision] = Memo(KEYS_REMEMBERED)
        tests = self.prepared.remembered
        self._memos = [FieldMemo(name, each, self.counts) for name, each in tests.items()]
        self._key_source = attrgetter(*shape.key_source, *self._few)
        self._few_of = _tuple_getter(self._few)
        self._time_of = attrgetter(shape.time)
        self._assurance = Assurance(shape)
        self._quiet: Memo[tuple[Any, ...], bool] = Memo(KEYS_REMEMBERED)
        build = search or best_search()
        self._gates = [(bodies, Gate(wanted, build)) for bodies, wanted in _by_bodies(self.prepared)]

    def match(
        self,
        records: Sequence[bytes],
        format_: Format,
        document_of: DocumentOf | None = None,
        told: Examined | None = None,
    ) -> Iterator[tuple[int, int]]:
        """Yield (place of the record, number of the rule) for every match, in order.

        Args:
            records: Exact bytes.
            format_: Their format, within the context of these records: what the program was made for knows none, and
                that of other records names another cluster.
            document_of: As for `Engine.examine`.
            told: Where to note what the records say of themselves; None: nobody asks.
        """
        self.counts.records += len(records)
        for start in range(0, len(records), BATCH):
            batch = records[start : start + BATCH]
            shown = batch if self._shape.shown is None else list(map(self._shape.shown, batch))
            decoded = self._decoded(shown)
            if told is not None:
                self._tell(told, start, decoded)
            for place, suspected, memos in self._interesting(shown, decoded):
                record = batch[place]
                read = partial(_read, format_, record, start + place, document_of)
                event = decoded[place]
                if event is self._irregular:
                    numbers: Sequence[int] = self._general_way(read)
                else:
                    numbers = self._consider(event, record, suspected, memos, read)
                for number in numbers:
                    yield start + place, number

    def remembered(self) -> dict[str, int]:
        """How many entries each memory has."""
        return {
            "decisions": len(self._decisions),
            "quiet keys": len(self._quiet),
            **{memo.name: len(memo) for memo in self._memos},
        }

    def _interesting(
        self, shown: Sequence[bytes], decoded: Sequence[Any]
    ) -> Iterator[tuple[int, Collection[int], Sequence[FieldMemo]]]:
        """What a rule may hold on, in order: place, rules of which a literal was seen, memos that have to be asked."""
        suspects = self._scan(shown, decoded) if self._gates else {}
        asked: dict[int, list[FieldMemo]] = {place: [] for place in suspects}
        for place in _places_without(self._quiet.young, map(self._key_source, decoded)):
            asked.setdefault(place, [])
        for memo in self._memos:
            for place in _places_without(memo.quiet.young, map(memo.value_of, decoded)):
                asked.setdefault(place, []).append(memo)
        for place, memos in sorted(asked.items()):
            yield place, suspects.get(place, ()), memos

    def _tell(self, told: Examined, start: int, decoded: Sequence[Any]) -> None:
        """Note which records are unsure, and between which times the others lie."""
        unsure = {at for at, event in enumerate(decoded) if event is self._irregular}
        unsure.update(self._assurance.doubtful(decoded))
        told.unsure.extend(start + at for at in sorted(unsure))
        known = [event for at, event in enumerate(decoded) if at not in unsure] if unsure else decoded
        times = list(map(self._time_of, known))
        if times:
            told.oldest = min(times) if told.oldest is None else min(told.oldest, *times)
            told.newest = max(times) if told.newest is None else max(told.newest, *times)

    def _decoded(self, records: Sequence[bytes]) -> list[Any]:
        """The records decoded, one that stands for all irregular ones in the place of each of those."""
        decode, time_of, times = self._decode, self._time_of, self._shape.times
        try:
            found = list(map(decode, records))
        except (ValueError, RecursionError):
            found = list(map(self._decoded_one, records))
        if times.all_plain(list(map(time_of, found))):
            return found
        return [event if times.is_plain(time_of(event)) else self._irregular for event in found]

    def _decoded_one(self, record: bytes) -> Any:
        try:
            return self._decode(record)
        except (ValueError, RecursionError):
            return self._irregular

    def _general_way(self, read: Read) -> list[int]:
        self.counts.irregular += 1
        try:
            return self._general.match(read())
        except RejectedRecord:
            return []  # no record of this format; the indexer reports it

    def _consider(
        self, event: Any, record: bytes, suspected: Iterable[int], memos: Iterable[FieldMemo], read: Read
    ) -> Sequence[int]:
        """The rules that hold on a regular record, in order."""
        key = self._shape.key(event) + self._few_of(event)
        decision = self._decisions.young.get(key) or self._decide(key)
        numbers = [*suspected]
        for memo in memos:
            numbers.extend(memo.numbers(event))
        if not (decision.sure or decision.open_):
            self._keep_quiet(self._key_source(event))
        open_ = _left_open(decision, event)
        if not (decision.sure or open_ or numbers) or not self._shape.final(key):
            return ()
        whole = RegularEvent(event, record, self._sources, lambda: self._counted(read))
        return self._settle(whole, decision.sure, open_, numbers)

    def _keep_quiet(self, facts: tuple[Any, ...]) -> None:
        if facts not in self._quiet.young and self._quiet.older(facts) is None and _short(facts):
            self._quiet.put(facts, value=True)

    def _decide(self, key: tuple[Any, ...]) -> Decision:
        found = self._decisions.older(key)
        if found is not None:
            return found
        self.counts.decisions += 1
        found = self.prepared.decide(self._known(key)) if self._shape.final(key) else Decision((), ())
        if _short(key):
            self._decisions.put(key, found)
        return found

    def _known(self, key: tuple[Any, ...]) -> dict[str, tuple[Any, ...]]:
        """The fields that a key tells."""
        own = len(key) - len(self._few)
        places = {**self._shape.key_fields, **{name: at for at, name in enumerate(self._few, own)}}
        known = {name: () if key[at] is None else (key[at],) for name, at in places.items() if name in self._getters}
        implied = self._shape.implied(key[:own])
        return known | {name: values for name, values in implied.items() if name in self._implied_names}

    def _settle(
        self, whole: RegularEvent, sure: Sequence[int], open_: Sequence[Open], numbers: Sequence[int]
    ) -> Sequence[int]:
        self.counts.considered += 1
        found = list(sure)
        try:
            self._judge.add_holding(found, open_, whole)
            if numbers:
                self._judge.add_candidates(found, numbers, whole)
            if found:
                whole.whole()  # no match without a record that parses
        except RejectedRecord:
            return ()  # as on the general way
        found.sort()
        return found

    def _counted(self, read: Read) -> View:
        self.counts.parsed += 1
        return read()

    def _scan(self, records: Sequence[bytes], decoded: Sequence[Any]) -> Seen:
        """Rules of which a literal was seen, for each record; those of irregular ones say nothing."""
        seen: Seen = {}
        for bodies, gate in self._gates:
            for place, numbers in gate.scan(records if bodies is None else list(map(bodies, decoded))).items():
                self.counts.gate_candidates += len(numbers)
                seen[place] = seen[place] | numbers if place in seen else numbers
        return seen

    def _prepare(self, rules: Sequence[tuple[int, Rule]]) -> Prepared:
        return prepare(
            rules,
            name_of=self._resolver.name_of,
            key_fields=self._choose_keys,
            cheap=frozenset(self._getters),
            remembered=self._resolver.getters.__contains__,
            literals=self._literals,
            guards=Guards(self._getters, frozenset(self._resolver.getters), self._literals).of,
        )

    def _choose_keys(self, trees: Sequence[Tree]) -> frozenset[str]:
        """The fields that keys tell: those of the shape, and of its few-valued ones those that rules test."""
        tested = frozenset[str]().union(*map(fields_of, trees))
        self._few = tuple(name for name in self._shape.few if name in tested and name in self._getters)
        return frozenset(self._shape.key_fields) & self._getters.keys() | self._implied_names | set(self._few)

    def _literals(self, leaf: Leaf) -> list[tuple[str | None, str]] | None:
        if isinstance(leaf, Anywhere):
            found = literals_of(leaf, None)
            return [(None, literal) for literal in found] if found else None
        places = self._resolver.paths_of(leaf.field)
        if not places:
            return None
        bodies = {place.body for place in places}
        body = bodies.pop() if len(bodies) == 1 else None
        # names above a body are not in its bytes; those at the top are in every record
        inside = [place.path[len(body) + 1 :] if body else place.path.partition(".")[2] for place in places]
        found = literals_of(leaf, inside)
        if found is None:
            return None
        return [(body, literal) for literal in found]


def _places_without(known: Container[Any], values: Iterable[Any]) -> Iterator[int]:
    """Places of the values that are not among the known ones; nothing here runs in Python's own loop."""
    return compress(_PLACES, map(not_, map(known.__contains__, values)))


def _left_open(decision: Decision, event: Any) -> Sequence[Open]:
    """The rules that their guards leave open on a decoded record."""
    try:
        return [(number, check) for number, guard, check in decision.open_ if guard is None or guard(event)]
    except Exception:  # noqa: BLE001 - the rule that is to blame will be evaluated, isolated and reported
        return [(number, check) for number, _, check in decision.open_]


def _short(texts: tuple[Any, ...]) -> bool:
    """Whether remembering these is no gift to who sends long texts."""
    return all(text.__class__ is not str or len(text) <= LONGEST_TEXT for text in texts)


def _tuple_getter(paths: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Values of a decoded record at some paths."""
    if len(paths) > 1:
        return attrgetter(*paths)
    get = attrgetter(paths[0]) if paths else None
    return (lambda event: (get(event),)) if get else lambda _event: ()


def _any_key(shape: Shape) -> tuple[Any, ...]:
    """A key, to learn which fields follow from keys."""
    return ("-",) * (max(shape.key_fields.values()) + 2)


def _by_bodies(prepared: Prepared) -> Iterator[tuple[Callable[[Any], Any] | None, dict[str, list[int]]]]:
    """Literals for whole records, and those for bodies together, with the function that gives their bytes."""
    whole = prepared.gated.get(None)
    if whole:
        yield None, whole
    bodies = sorted(body for body in prepared.gated if body)
    wanted: dict[str, list[int]] = {}
    for body in bodies:
        for literal, numbers in prepared.gated[body].items():
            wanted.setdefault(literal, []).extend(numbers)
    if bodies:
        get = attrgetter(*bodies)
        yield get if len(bodies) == 1 else (lambda event: b"\n".join(get(event))), wanted


def _read(format_: Format, record: bytes, place: int, document_of: DocumentOf | None) -> View:
    return view_of(place, format_.read(record), document_of)
