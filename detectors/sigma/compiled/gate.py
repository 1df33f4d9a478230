"""The literal gate: which of many literals stand in which records, in one pass over the bytes.

Hyperscan where it is installed (several times faster, many records in one scan), RE2 sets elsewhere; both find the
same. `detectors/sigma/compiled/literals.py` says what may be asked of a gate.
"""

from __future__ import annotations

import functools
import importlib
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Protocol

import re2  # type: ignore[import-untyped]

from detectors.sigma.compiled.literals import bypasses
from ingest.schema.errors import ConfigError

LITERALS_PER_SET = 400
_SET_MEMORY = 64 * 1024 * 1024

Seen = dict[int, set[int]]
"""Number of a record in the batch → rules whose literal it may hold."""


class Search(Protocol):
    """Finds literals, ignoring the case of ASCII letters."""

    def __call__(self, records: Sequence[bytes]) -> Mapping[int, set[int]]:
        """Number of a record → numbers of the literals in it."""
        ...


class Gate:
    """Says for a batch of records which rules are worth a look.

    Attributes:
        bypassed: Records that had to pass unseen since the start.
    """

    def __init__(self, wanted: Mapping[str, Sequence[int]], search: Callable[[Sequence[str]], Search]) -> None:
        """Build the search.

        Args:
            wanted: Lower-case literal → rules that wait for it.
            search: Builds the search for the literals.
        """
        self._rules = tuple(tuple(rules) for rules in wanted.values())
        self._everything = {rule for rules in self._rules for rule in rules}
        self._search = search(tuple(wanted))
        self.bypassed = 0

    def scan(self, records: Sequence[bytes]) -> Seen:
        """Which rules may hold on which records; those without any are left out."""
        found: Seen = {
            place: {rule for literal in literals for rule in self._rules[literal]}
            for place, literals in self._search(records).items()
        }
        if bypasses(b"\n".join(records)):
            for place, record in enumerate(records):
                if bypasses(record):
                    self.bypassed += 1
                    found[place] = self._everything
        return found


def best_search() -> Callable[[Sequence[str]], Search]:
    """How to search on this machine."""
    return HyperscanSearch if _hyperscan() is not None else Re2Search


@functools.cache
def _hyperscan() -> Any:
    """The module, or None where there is no wheel of it."""
    try:
        return importlib.import_module("hyperscan")
    except ImportError:
        return None


class HyperscanSearch:
    """All records of a batch in one scan; a match is given back to its record by its place."""

    def __init__(self, literals: Sequence[str]) -> None:
        module = _hyperscan()
        self._found: list[tuple[int, int]] = []
        self._database = module.Database(mode=module.HS_MODE_BLOCK)
        self._database.compile(
            expressions=[re2.escape(literal).encode() for literal in literals],
            ids=list(range(len(literals))),
            flags=[module.HS_FLAG_CASELESS] * len(literals),
        )

    def __call__(self, records: Sequence[bytes]) -> Mapping[int, set[int]]:
        found = self._found
        found.clear()
        self._database.scan(b"\n".join(records), match_event_handler=self._note)
        if not found:
            return {}
        ends = list(accumulate(len(record) + 1 for record in records))
        seen: Seen = {}
        for literal, end in found:
            seen.setdefault(bisect_right(ends, end - 1), set()).add(literal)
        return seen

    def _note(self, literal: int, _start: int, end: int, _flags: int, _context: object) -> None:
        self._found.append((literal, end))


class Re2Search:
    """Each record against sets of literals."""

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

    def __call__(self, records: Sequence[bytes]) -> Mapping[int, set[int]]:
        seen: Seen = {}
        for first, each in self._sets:
            match = each.Match
            for place, record in enumerate(records):
                numbers = match(record)
                if numbers:
                    seen.setdefault(place, set()).update(first + number for number in numbers)
        return seen
