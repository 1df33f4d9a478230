"""Whole bodies below ``obj/`` that sealed dead letters name: nothing else tells that one was taken away.

A message of the dead-letter topic is a byte 1 and a map of msgpack (https://github.com/msgpack/msgpack). Where the
refused bytes were too large for Kafka, `object_key` in it is the key of the object that has them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from storage.verify.findings import Finding, Kind, Site
from storage.verify.places import Place

_ENTITY = "dead-letters"
_VERSION = b"\x01"
_KEY = re.compile(r"(?P<folder>[A-Za-z0-9._-]+/obj)/(?P<name>[0-9a-f]{64}(?:\.enc)?)")


@dataclass(frozen=True, slots=True)
class Named:
    """A body that a dead letter names, and where the letter is."""

    key: str
    site: Site
    offset: int | None
    index: int | None


def holds_letters(topic: str) -> bool:
    """Whether a topic, by its name, is that of dead letters."""
    return topic.split(".")[1:-1] == [_ENTITY]


def object_of(letter: bytes) -> str:
    """Key of the object that a dead letter stands for; empty where it has its bytes in it, or is none."""
    if not letter.startswith(_VERSION) or b"object_key" not in letter:
        return ""
    try:
        value = msgspec.msgpack.decode(letter[1:])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    key = value.get("object_key") if isinstance(value, dict) else None
    return key if isinstance(key, str) and _KEY.fullmatch(key) else ""


@dataclass(slots=True)
class Bodies:
    """What lies below ``obj/``, listed when it is first asked for: after the letters that name it were sealed."""

    place: Place
    _names: dict[str, set[str]] = field(default_factory=dict)

    def missing(self, named: Iterable[Named]) -> Iterator[Finding]:
        """Which of these are not there."""
        for each in named:
            folder, _, name = each.key.rpartition("/")
            try:
                here = self._here(folder)
            except OSError as exc:
                yield each.site.finding(Kind.UNCHECKED, f"reading: {exc.strerror}", key=folder)
                return
            if name not in here:
                detail = "the body of a dead letter, which was too large for Kafka, is gone"
                yield each.site.finding(Kind.MISSING, detail, key=each.key, offset=each.offset, index=each.index)

    def _here(self, folder: str) -> set[str]:
        if folder not in self._names:
            try:
                self._names[folder] = set(self.place.names(folder))
            except FileNotFoundError:
                self._names[folder] = set()
        return self._names[folder]
