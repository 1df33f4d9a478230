"""A regular record as conditions read it, and what is remembered of its decoded fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec

from detectors.sigma.compiled.counts import Counts
from detectors.sigma.compiled.literals import bypasses
from detectors.sigma.compiled.memo import LONGEST_TEXT, Memo
from detectors.sigma.compiled.predicates import ValueTest
from detectors.sigma.compiled.prepared import witnessed_by
from detectors.sigma.compiled.shape import Getter
from detectors.sigma.compiled.views import VALUES_REMEMBERED
from detectors.sigma.fields import Fields
from ingest.formats.contract import View

_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the values of fields come from in regular records of a format.

    Attributes:
        getters: Field → its values in a decoded record.
        bodies: Field → the name whose bytes hold all its values.
        written: Fields that are one decoded value → the name that is in every record that has them.
        vendors: Fields that no ECS document can have, so that none is made for them.
        aliases: As `Format.aliases`.
    """

    getters: Mapping[str, Getter]
    bodies: Mapping[str, str]
    written: Mapping[str, bytes]
    vendors: frozenset[str]
    aliases: Mapping[str, str]


class RegularEvent:
    """Decoded values at once, those in a body after parsing it, everything else after parsing the whole."""

    __slots__ = ("_all", "_event", "_in_bodies", "_read", "_record", "_sources", "_vendors")

    def __init__(self, event: Any, record: bytes, sources: Sources, read: Callable[[], View]) -> None:
        """Wrap a decoded record.

        Args:
            event: The decoded record.
            record: Its bytes.
            sources: Where to find what.
            read: Parses the whole; raises RejectedRecord when the record is not one of its format.
        """
        self._event = event
        self._record = record
        self._sources = sources
        self._read = read
        self._all: Fields | None = None
        self._vendors: Fields | None = None
        self._in_bodies: dict[str, Fields | None] = {}

    def values(self, name: str) -> tuple[Any, ...]:
        """As `Fields.values`."""
        get = self._sources.getters.get(name)
        if get is not None:
            found = get(self._event)
            if found is not None:
                return found
        body = self._sources.bodies.get(name)
        if body is not None:
            inside = self._inside(body)
            if inside is not None:
                return inside.values(name)
        whole = self.whole()
        if name in self._sources.vendors and self._vendors is not None:
            return self._vendors.values(name)
        return whole.values(name)

    def has(self, name: str) -> bool:
        """As `Fields.has`; a decoded record does not tell null from absent, its bytes mostly do."""
        get = self._sources.getters.get(name)
        if get is not None:
            if get(self._event):
                return True
            written = self._sources.written.get(name)
            if written and written not in self._record and not bypasses(self._record):
                return False
        body = self._sources.bodies.get(name)
        inside = None if body is None else self._inside(body)
        if inside is not None:
            return inside.has(name)
        whole = self.whole()
        return (self._vendors or whole).has(name) if name in self._sources.vendors else whole.has(name)

    def everything(self) -> Iterator[Any]:
        """As `Fields.everything`."""
        return self.whole().everything()

    def whole(self) -> Fields:
        """All fields.

        Raises:
            RejectedRecord: The record is not one of its format.
        """
        if self._all is None:
            view = self._read()
            self._all = Fields(view, self._sources.aliases)
            self._vendors = Fields(View(view.vendor), self._sources.aliases)
        return self._all

    def _inside(self, body: str) -> Fields | None:
        return self._in_bodies[body] if body in self._in_bodies else self._open(body)

    def _open(self, body: str) -> Fields | None:
        """The fields of a tree that holds nothing but one body; None where only the whole record tells."""
        tree: dict[str, Any] = {}
        written = bytes(attrgetter(body)(self._event))
        if written:
            *above, name = body.split(".")
            node = tree
            for each in above:
                node = node.setdefault(each, {})
            try:
                node[name] = _decode(written)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self._in_bodies[body] = None
                return None
        found = self._in_bodies[body] = Fields(View(tree), self._sources.aliases)
        return found


class FieldMemo:
    """Which rules the value of one decoded field brings up.

    Attributes:
        name: Of the field.
        value_of: The value in a decoded record; None when it is not there.
        quiet: Values that bring up none.
    """

    __slots__ = ("_counts", "_loud", "_tests", "name", "quiet", "value_of")

    def __init__(self, path: str, tests: Sequence[tuple[ValueTest, int]], counts: Counts) -> None:
        """Remember nothing yet.

        Args:
            path: Of the field in a decoded record.
            tests: Tests on a value, each with the rule that it brings up.
            counts: Where new values are counted.
        """
        self.name = path
        self.value_of = attrgetter(path)
        self.quiet: Memo[Any, bool] = Memo(VALUES_REMEMBERED)
        self._loud: Memo[Any, tuple[int, ...]] = Memo(VALUES_REMEMBERED)
        self._tests = tests
        self._counts = counts

    def __len__(self) -> int:
        return len(self.quiet) + len(self._loud)

    def numbers(self, event: Any) -> tuple[int, ...]:
        """The rules for a decoded record."""
        value = self.value_of(event)
        if value in self.quiet.young or self.quiet.older(value):
            return ()
        found = self._loud.young.get(value) or self._loud.older(value)
        if found is None:
            self._counts.values += 1
            found = tuple(dict.fromkeys(witnessed_by(self._tests, (value,))))
            if value.__class__ is str and len(value) > LONGEST_TEXT:
                return found
            if found:
                self._loud.put(value, found)
            else:
                self.quiet.put(value, value=True)
        return found
