"""A search identifier of a rule (`selection: …`) as a tree of tests.

A map asks for all of its entries, a list for one of its elements, and a text or number without a field for itself
anywhere in the event. The key of an entry is `field|modifier|…`; its values are read here, what the modifiers do to
them stands in `modifiers.py`.

Fails closed: whatever is no selection, or asks for what can't be evaluated, is refused with its place and the reason.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import re2  # type: ignore[import-untyped]

from detectors.sigma import ast
from detectors.sigma.modifiers import (
    MAX_ALTERNATIVES,
    MODIFIERS,
    UnfitValueError,
    Value,
    cased,
    parts_of,
    settled,
)
from detectors.sigma.values import compiled, text_of
from ingest.schema.errors import ConfigError

Placeholders = Mapping[str, Sequence[str]]
"""Values of `%name%` in values with the modifier `expand`."""

_MEND = "correct the rule; docs/rules.md tells what is evaluated"
_OF_THE_KEY: Final = frozenset({"expand", "all", "neq", "cased"})  # wherever they stand among the modifiers
_PLACEHOLDER = re.compile(r"\\.|%([^%\\]+)%", re.DOTALL)
"""A placeholder, or what a backslash escapes: no placeholder begins with an escaped `%`."""
_OF_PLACES: Final = frozenset({"startswith", "endswith"})


def selection(body: Any, *, place: str, placeholders: Placeholders) -> ast.Condition:
    """What a search identifier asks for.

    Args:
        body: What stands under its name.
        place: Where it stands, for errors: `rule.yml: detection.selection`.
        placeholders: Values for the modifier `expand`.

    Raises:
        ConfigError: It can't be evaluated; names the key and the reason.
    """
    if isinstance(body, Mapping):
        if not body:
            raise _refusal(place, "an empty map asks for nothing")
        return _both([_entry(key, values, place, placeholders) for key, values in body.items()])
    if isinstance(body, list):
        if not body:
            raise _refusal(place, "an empty list asks for nothing")
        return _either([selection(part, place=place, placeholders=placeholders) for part in body])
    return _Key.read(None, f"{place}: keyword", placeholders).condition([body])


def _entry(key: Any, values: Any, place: str, placeholders: Placeholders) -> ast.Condition:
    if isinstance(key, bool) or not isinstance(key, str | int | float):
        raise _refusal(place, f"{key!r} is no name of a field")
    written = str(key)
    place = f"{place}.{written}"
    if isinstance(values, Mapping):
        raise _refusal(place, "a map is no value; write the path with dots: `field.part: value`")
    if isinstance(values, list) and not values:
        raise _refusal(place, "an empty list names no value; an absent field is `null`")
    return _Key.read(written, place, placeholders).condition(values if isinstance(values, list) else [values])


@dataclass(frozen=True, slots=True)
class _Key:
    """`field|modifier|…`, taken apart.

    Attributes:
        field: None for keywords.
        modifiers: Those that work on a value, in their order.
        flags: Those of `_OF_THE_KEY`.
    """

    field: str | None
    modifiers: tuple[str, ...]
    flags: frozenset[str]
    place: str
    placeholders: Placeholders

    @classmethod
    def read(cls, written: str | None, place: str, placeholders: Placeholders) -> _Key:
        name, *modifiers = (written or "").split("|")
        for one in modifiers:
            if one not in MODIFIERS and one not in _OF_THE_KEY:
                near = difflib.get_close_matches(one, [*MODIFIERS, *_OF_THE_KEY], 1)
                hint = f"; is {near[0]} meant?" if near else ""
                raise _refusal(place, f"there is no modifier {one!r} in Sigma{hint}")
        flags = frozenset(modifiers) & _OF_THE_KEY
        working = tuple(one for one in modifiers if one not in _OF_THE_KEY)
        if name:
            return cls(name, working, flags, place, placeholders)
        if _OF_PLACES & set(working) and "contains" not in working:
            raise _refusal(place, f"{working[-1]} needs a field: keywords are sought anywhere in a value")
        return cls(None, working, flags, place, placeholders)

    def condition(self, values: Sequence[Any]) -> ast.Condition:
        """What the key asks for with these values."""
        found = [self._one(value) for value in values]
        whole = _both(found) if "all" in self.flags else _either(found)
        return ast.Not(whole) if "neq" in self.flags else whole

    def _one(self, written: Any) -> ast.Condition:
        """One value with all that it may become: placeholders, dashes, offsets."""
        try:
            drafts = self._drafts(written)
            # As it stands: what a modifier puts around a broken pattern may hide that it is broken.
            for draft in drafts:
                if isinstance(draft, ast.Regex):
                    _compilable(draft)
            for name in self.modifiers:
                drafts = _bounded([new for draft in drafts for new in MODIFIERS[name](draft)])
            if "cased" in self.flags:
                drafts = [cased(draft) for draft in drafts]
            return _either([self._leaf(settled(draft)) for draft in drafts])
        except UnfitValueError as exc:
            raise _refusal(self.place, str(exc)) from None

    def _leaf(self, test: ast.Test) -> ast.Condition:
        if isinstance(test, ast.Regex):
            _compilable(test)
        if self.field is not None:
            return ast.FieldMatch(self.field, test)
        if isinstance(test, ast.Text | ast.Number | ast.Boolean | ast.Regex):
            return ast.Keyword(test)
        raise UnfitValueError(f"{type(test).__name__.lower()} needs a field")

    def _drafts(self, written: Any) -> list[Value]:
        """The value as the first modifier gets it; one for each of the values of its placeholders."""
        raw = self.modifiers[:1] == ("re",)
        if written is None and not raw:
            return [ast.Null()]
        if isinstance(written, bool | int | float):
            if not raw:
                return [ast.Boolean(written) if isinstance(written, bool) else ast.Number(written)]
            written = text_of(written)
        if not isinstance(written, str):
            kind = "null" if written is None else f"a {type(written).__name__}"
            raise UnfitValueError(f"{kind} is no {'pattern' if raw else 'value'}")
        if "expand" not in self.flags:
            return [ast.Regex(written) if raw else ast.Text(parts_of(written))]
        if raw:
            return [ast.Regex("".join(chosen)) for chosen in self._expanded(written, re2.escape, str)]
        return [
            ast.Text(tuple(itertools.chain.from_iterable(chosen)))
            for chosen in self._expanded(written, parts_of, lambda text: parts_of(_percents(text)))
        ]

    def _expanded(self, written: str, given: Any, other: Any) -> list[tuple[Any, ...]]:
        """Each way to fill the placeholders of a text: its pieces, in their order.

        Args:
            written: The text.
            given: Makes a piece of a placeholder's value.
            other: Makes a piece of what stands between placeholders.
        """
        choices: list[list[Any]] = []
        total, end = 1, 0
        for found in _PLACEHOLDER.finditer(written):
            if found[1] is None:
                continue
            values = self.placeholders.get(found[1])
            if not values:
                raise UnfitValueError(
                    f"the placeholder %{found[1]}% has no values; give them in detection.placeholders"
                )
            choices += [[other(written[end : found.start()])], [given(value) for value in values]]
            end = found.end()
            total *= len(values)
            if total > MAX_ALTERNATIVES:
                raise UnfitValueError(f"its placeholders make more than {MAX_ALTERNATIVES} values")
        choices.append([other(written[end:])])
        return list(itertools.product(*choices))


def _compilable(test: ast.Regex) -> None:
    try:
        compiled(test.pattern, test.flags)
    except (re2.error, UnicodeEncodeError) as exc:
        raise UnfitValueError(f"regular expression {test.pattern!r}: {_message(exc)}") from None


def _percents(text: str) -> str:
    """A text without the backslashes that kept a `%` from beginning a placeholder; other escapes stay."""
    return _PLACEHOLDER.sub(lambda found: "%" if found[0] == r"\%" else found[0], text)


def _bounded(drafts: list[Value]) -> list[Value]:
    if len(drafts) > MAX_ALTERNATIVES:
        raise UnfitValueError(f"it becomes more than {MAX_ALTERNATIVES} values")
    return drafts


def _message(error: Exception) -> str:
    told = error.args[0] if error.args else error
    return told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)


def _refusal(place: str, why: str) -> ConfigError:
    return ConfigError(f"reading detection: {why}", where=place, mend=_MEND)


def _both(parts: Sequence[ast.Condition]) -> ast.Condition:
    return parts[0] if len(parts) == 1 else ast.And(tuple(parts))


def _either(parts: Sequence[ast.Condition]) -> ast.Condition:
    return parts[0] if len(parts) == 1 else ast.Or(tuple(parts))
