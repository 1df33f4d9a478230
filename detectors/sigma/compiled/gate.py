"""The literal gate: which of many literals stand in which records.

One pass over the bytes of many records at once says which literals are there at all; for those few, each record is
asked. Hyperscan makes that pass where it is installed, RE2 sets elsewhere; both find the same.
`detectors/sigma/compiled/literals.py` says what may be asked of a gate.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

import re2  # type: ignore[import-untyped]

from detectors.sigma.compiled.literals import bypasses
from ingest.schema.errors import ConfigError

LITERALS_PER_SET = 400
_SET_MEMORY = 64 * 1024 * 1024
_NOT_IN_LITERALS = b"\n"

Seen = dict[int, set[int]]
"""Number of a record in the batch → rules whose literal it may hold."""


class Search(Protocol):
    """Finds literals, ignoring the case of ASCII letters."""

    def __call__(self, text: bytes) -> Collection[int]:
        """Numbers of the literals that are in the text."""
        ...


BuildSearch = Callable[[Sequence[str]], Search]
"""Builds the search for lower-case literals."""


class Gate:
    """Says for a batch of records which rules are worth a look.

    Attributes:
        bypassed: Records that had to pass unseen since the start.
    """

    def __init__(self, wanted: Mapping[str, Sequence[int]], build: BuildSearch) -> None:
        """Build the search.

        Args:
            wanted: Lower-case literal → rules that wait for it.
            build: How.
        """
        self._literals = tuple(literal.encode() for literal in wanted)
        self._rules = tuple(frozenset(rules) for rules in wanted.values())
        self._everything = {rule for rules in self._rules for rule in rules}
        self._search = build(tuple(wanted))
        self.bypassed = 0

    def scan(self, records: Sequence[Any]) -> Seen:
        """Which rules may hold on which records; those without any are left out.

        Args:
            records: Bytes, or objects with the buffer protocol.
        """
        text = _NOT_IN_LITERALS.join(records)
        numbers, past = self._search(text), bypasses(text)
        if not numbers and not past:
            return {}
        found: Seen = {}
        for place, record in enumerate(map(bytes, records)):
            if past and bypasses(record):
                self.bypassed += 1
                found[place] = self._everything
                continue
            lowered = record.lower()
            for number in numbers:
                if self._literals[number] in lowered:
                    found.setdefault(place, set()).update(self._rules[number])
        return found


def best_search() -> BuildSearch:
    """How to search on this machine."""
    return HyperscanSearch if hyperscan() is not None else Re2Search


@functools.cache
def hyperscan() -> Any:
    """The module, or None where there is no wheel of it."""
    try:
        return importlib.import_module("hyperscan")
    except ImportError:
        return None


class HyperscanSearch:
    """Hyperscan's literals."""

    def __init__(self, literals: Sequence[str]) -> None:
        module = hyperscan()
        self._found: set[int] = set()
        self._database = module.Database(mode=module.HS_MODE_BLOCK)
        self._database.compile(
            expressions=[re2.escape(literal).encode() for literal in literals],
            ids=list(range(len(literals))),
            flags=[module.HS_FLAG_CASELESS | module.HS_FLAG_SINGLEMATCH] * len(literals),
        )

    def __call__(self, text: bytes) -> Collection[int]:
        """As `Search`."""
        self._found.clear()
        self._database.scan(text, match_event_handler=self._note)
        return self._found

    def _note(self, literal: int, _start: int, _end: int, _flags: int, _context: object) -> None:
        self._found.add(literal)


class Re2Search:
    """Sets of RE2."""

    def __init__(self, literals: Sequence[str]) -> None:
        options = re2.Options()
        options.literal = True
        options.case_sensitive = False
        options.encoding = re2.Options.Encoding.LATIN1  # bytes as they are
        options.max_mem = _SET_MEMORY
        self._sets: list[tuple[int, Any]] = []
        for start in range(0, len(literals), LITERALS_PER_SET):
            chunk = literals[start : start + LITERALS_PER_SET]
            made = re2.Set.SearchSet(options)
            for literal in chunk:
                made.Add(literal)
            made.Compile()
            # a set that runs out of memory finds nothing and says nothing: prove that it finds
            if set(made.Match("\n".join(chunk))) != set(range(len(chunk))):
                raise ConfigError("building literal gate: RE2 can't hold the literals of the rules")
            self._sets.append((start, made))

    def __call__(self, text: bytes) -> Collection[int]:
        """As `Search`."""
        # a set in which nothing is found gives None
        return [first + number for first, each in self._sets for number in each.Match(text) or ()]
