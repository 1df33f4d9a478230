"""What the raw path knows about the records of a format, so that it need not parse the whole of them.

A shape lists every name that a regular record may have and how each is written. Records that have other names or other
types are irregular and go the general way, so on a regular record it is certain where each field can and can't stand.
One module in `shapes/` per format; formats without one go the general way with every record.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from operator import attrgetter
from types import MappingProxyType
from typing import Annotated, Any

import msgspec

from detectors.sigma.compiled import shapes
from detectors.sigma.compiled.plain_times import PlainTimes
from ingest.schema.fields import Registry


class Kind(Enum):
    """How the value of a name is written in regular records."""

    NAME = "a text that is there and not empty"
    TEXT = "a text, null, or not there"
    NUMBER = "an integer, null, or not there"
    FLAG = "true, false, null, or not there"
    BODY = "anything; left as bytes until a rule asks for what is in it"


_BLANK = "\x00"

Names = Mapping[str, "Kind | Names"]

_TYPES: Mapping[Kind, tuple[Any, ...]] = {
    Kind.NAME: (Annotated[str, msgspec.Meta(min_length=1)],),
    Kind.TEXT: (str | None, None),
    Kind.NUMBER: (int | None, None),
    Kind.FLAG: (bool | None, None),
    Kind.BODY: (msgspec.Raw, b""),
}

Values = tuple[Any, ...]
Getter = Callable[[Any], Values | None]
"""From a decoded record to all values of a field; None: this record does not tell, read the whole."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a format's regular records.

    Attributes:
        format: Name of the format.
        names: The vendor's names, in the order in which the vendor writes them: decoding is faster then.
        key: From a decoded record to what rules are specialised for: hashable, of few different values.
        key_source: Decoded values that the key is made of.
        key_fields: Vendor's fields in the key → their place in it; texts, integers or None.
        few: Further fields of few different values; those that rules test become parts of the key.
        implied: From a key to the fields of the ECS document that follow from it.
        time: The decoded value that places a record in time.
        times: The form of that time; records with another are irregular. Of a regular record a document can be made.
        derived: Fields of the ECS document that follow from a decoded record.
        final: `View.final`, from a key.
        shown: The record without secrets, as the view sees it.
    """

    format: str
    names: Names
    key: Callable[[Any], tuple[Any, ...]]
    key_source: tuple[str, ...]
    key_fields: Mapping[str, int]
    implied: Callable[[tuple[Any, ...]], Mapping[str, Values]]
    time: str
    times: PlainTimes
    few: tuple[str, ...] = ()
    derived: Mapping[str, Getter] = field(default_factory=lambda: MappingProxyType({}))
    final: Callable[[tuple[Any, ...]], bool] = lambda _key: True
    shown: Callable[[bytes], bytes] | None = None

    def blank(self) -> Any:
        """A record with nothing in it but the names it must have, to stand for those that are irregular."""
        needed = {name: _BLANK for name, kind in self.names.items() if kind is Kind.NAME}
        return self.decoder()(msgspec.json.encode({**needed, self.time: self.times.example}))

    def decoder(self) -> Callable[[bytes], Any]:
        """Decodes a regular record; raises ValueError or RecursionError on any other."""
        return msgspec.json.Decoder(_struct_of("Record", self.names)).decode


def _struct_of(name: str, names: Names) -> type[Any]:
    fields: list[Any] = []
    for each, kind in names.items():
        if isinstance(kind, Kind):
            fields.append((each, *_TYPES[kind]))
        else:
            inner = _struct_of(each.capitalize(), kind)
            fields.append((each, inner, msgspec.field(default_factory=inner)))
    return msgspec.defstruct(name, fields, kw_only=True, gc=False, forbid_unknown_fields=True)


class Place(Enum):
    """Where a path leads in a regular record."""

    NOWHERE = "no regular record has it"
    VALUE = "a text or number of the decoded record"
    BODY = "into bytes that are still to be parsed"


@dataclass(frozen=True, slots=True)
class Found:
    """Where a path leads, with the vendor's spelling as far as the shape knows it."""

    place: Place
    path: str = ""
    body: str | None = None  # the decoded name whose bytes hold it; None: no single one


class Resolver:
    """Says where the fields of rules are found in the regular records of a format."""

    def __init__(self, shape: Shape, aliases: Mapping[str, str], registry: Registry) -> None:
        self._shape = shape
        self._aliases = aliases
        self._ecs = frozenset(known.name.lower() for known in registry)
        self._above_ecs = frozenset(above for known in self._ecs for above in _prefixes(known))
        self._known: dict[str, tuple[Found, ...] | None] = {}
        self.getters: Mapping[str, Getter] = {
            path: _getter(path) for path in _values(shape.names) if self._only(path) == path
        }

    def name_of(self, name: str) -> str | None:
        """The name under which the raw path keeps a field: its path for a decoded value, else its own; None: absent."""
        only = self._only(name)
        if only:
            return only
        paths = self.paths_of(name)
        return None if paths == () else name

    def paths_of(self, name: str) -> tuple[Found, ...] | None:
        """Places in the vendor's tree where a field may stand; None when it may come from the ECS document."""
        if name not in self._known:
            self._known[name] = None if self._in_ecs(name) else self._places(name)
        return self._known[name]

    def _places(self, name: str) -> tuple[Found, ...]:
        found = (self._find(path, folded=folded) for path, folded in self._paths(name))
        return tuple({each: None for each in found if each.place is not Place.NOWHERE})

    def body_of(self, name: str) -> str | None:
        """The decoded name whose bytes hold every value of a field; None when it may come from elsewhere."""
        places = self.paths_of(name)
        bodies = {place.body for place in places or ()}
        return bodies.pop() if len(bodies) == 1 else None

    def from_document(self, name: str) -> bool:
        """Whether a field comes from the ECS document alone, under exactly this name."""
        return name not in self._aliases and all(
            self._find(path, folded=folded).place is Place.NOWHERE for path, folded in self._paths(name)
        )

    def _only(self, name: str) -> str | None:
        """The path of the one decoded value that a field can be."""
        places = self.paths_of(name)
        if places and len(places) == 1 and places[0].place is Place.VALUE:
            return places[0].path
        return None

    def _paths(self, name: str) -> Iterator[tuple[str, bool]]:
        yield name, False
        alias = self._aliases.get(name)
        if alias:
            yield alias, False
        yield name.lower(), True

    def _in_ecs(self, name: str) -> bool:
        alias = self._aliases.get(name)
        return any(self._registered(each.lower()) for each in (name, alias) if each)

    def _registered(self, name: str) -> bool:
        """Whether a name is a field of documents, or above or below one."""
        return name in self._ecs or name in self._above_ecs or not self._ecs.isdisjoint(_prefixes(name))

    def _find(self, path: str, *, folded: bool) -> Found:
        names: Names = self._shape.names
        parts, spelled = path.split("."), list[str]()
        for number, part in enumerate(parts):
            match = next((each for each in names if each == part or (folded and each.lower() == part)), None)
            if match is None:
                return Found(Place.NOWHERE)
            spelled.append(match)
            kind = names[match]
            if not isinstance(kind, Kind):
                names = kind
                continue
            if kind is Kind.BODY:
                return Found(Place.BODY, ".".join([*spelled, *parts[number + 1 :]]), ".".join(spelled))
            last = number == len(parts) - 1
            return Found(Place.VALUE, ".".join(spelled)) if last else Found(Place.NOWHERE)
        return Found(Place.BODY, ".".join(spelled))


def _prefixes(path: str) -> Iterator[str]:
    """Every path above another."""
    at = path.find(".")
    while at >= 0:
        yield path[:at]
        at = path.find(".", at + 1)


def _values(names: Names, above: str = "") -> Iterator[str]:
    for name, kind in names.items():
        if not isinstance(kind, Kind):
            yield from _values(kind, f"{above}{name}.")
        elif kind is not Kind.BODY:
            yield above + name


def _getter(path: str) -> Getter:
    get = attrgetter(path)

    def values(record: Any) -> Values:
        value = get(record)
        return () if value is None else (value,)

    return values


@functools.cache
def all_shapes() -> Mapping[str, Shape]:
    """Every shape by the name of its format."""
    found = {}
    for entry in pkgutil.iter_modules(shapes.__path__):
        shape: Shape = importlib.import_module(f"{shapes.__name__}.{entry.name}").SHAPE
        found[shape.format] = shape
    return MappingProxyType(found)
