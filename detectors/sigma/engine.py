"""Runs rules over events. `InterpretedEngine` is plain and slow; a faster engine must equal it on every input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from detectors.rule import Rule
from detectors.sigma.fields import Fields
from detectors.sigma.interpret import holds
from ingest.formats.contract import Format, LogSource, Reading, View
from ingest.formats.registry import all_formats

Aliases = Mapping[LogSource, Mapping[str, str]]
"""Per log source: names that public rules use → path in the vendor's tree or the ECS document."""

OnError = Callable[[Rule, Exception], None]
"""Told of a rule that raised on an event."""


DocumentOf = Callable[[int, Reading], Mapping[str, Any]]
"""The ECS document of a record, by its place among those given; may raise RejectedRecord."""


@dataclass(slots=True)
class Examined:
    """What came of some records.

    Attributes:
        matches: (Index of the record, rule), in the order of records, then of rules.
        unsure: Indices of the records of which only the format can say whether it refuses them; it takes all others.
        oldest: The earliest time of those others, as the vendor wrote it (ISO 8601, UTC); None without any.
        newest: The latest.
    """

    matches: list[tuple[int, Rule]] = field(default_factory=list)
    unsure: list[int] = field(default_factory=list)
    oldest: str | None = None
    newest: str | None = None


class Engine(Protocol):
    """Immutable; swapping engines is one assignment."""

    @property
    def rules(self) -> Sequence[Rule]:
        """The rules it runs, in their order."""
        ...

    def match(self, views: Sequence[View], source: LogSource) -> Iterator[tuple[int, Rule]]:
        """Yield (index of the view, rule) for every match, in the order of views, then of rules.

        Views that are not final are left out. Raises for no event: a rule that raises is off for that event and
        reported; the other rules go on.
        """
        ...

    def examine(
        self, records: Sequence[bytes], format_: Format, document_of: DocumentOf | None = None
    ) -> Examined | None:
        """Match the bytes of records; None when there is no shorter way for their format than `match`.

        What rules see is `format_.read(record).view()` with the ECS document; bytes that are no record of the format
        match nothing.

        Args:
            records: Exact bytes.
            format_: Their format.
            document_of: Gives the document when a rule asks for more of it than follows from the vendor's fields at a
                glance; None: what the format makes, without what only the pipeline knows. It may add to that but not
                change it.
        """
        ...


def applies(rule: LogSource, source: LogSource) -> bool:
    """Whether a rule for one log source is to see events of another; a part that the rule leaves out matches any.

    A format may serve further services (`LogSource.also`) where public rules split finer than the logs do.
    Where our format declares no service or no category, a rule's demand for one can't be refused by it: such a rule
    must at least name the product.
    """
    if rule.product and rule.product.lower() != source.product.lower():
        return False
    service = rule.service if rule.service and rule.service.lower() in source.also else source.service
    parts = ((rule.service, service), (rule.category, source.category))
    if not rule.product:
        return any(wanted for wanted, _ in parts) and all(
            not wanted or wanted.lower() == (given or "").lower() for wanted, given in parts
        )
    return all(not wanted or not given or wanted.lower() == given.lower() for wanted, given in parts)


def known_aliases() -> Aliases:
    """The aliases of every format."""
    return {known.log_source: known.aliases for known in all_formats().values()}


class InterpretedEngine:
    """Evaluates every rule of a log source on every event by walking its tree."""

    def __init__(self, rules: Iterable[Rule], aliases: Aliases | None = None, on_error: OnError | None = None) -> None:
        self._rules = tuple(rules)
        self._aliases = known_aliases() if aliases is None else aliases
        self._on_error = on_error
        self._routes: dict[LogSource, tuple[Rule, ...]] = {}

    @property
    def rules(self) -> Sequence[Rule]:
        """The rules it runs, in their order."""
        return self._rules

    def rules_for(self, source: LogSource) -> tuple[Rule, ...]:
        """The rules that see events of a log source."""
        known = self._routes.get(source)
        if known is None:
            known = self._routes[source] = tuple(r for r in self._rules if applies(r.log_source, source))
        return known

    def match(self, views: Sequence[View], source: LogSource) -> Iterator[tuple[int, Rule]]:
        """As `Engine.match`."""
        rules = self.rules_for(source)
        aliases = self._aliases.get(source, {})
        for index, view in enumerate(views):
            if not view.final:
                continue
            fields = Fields(view, aliases)
            for rule in rules:
                if self._matches(rule, fields):
                    yield index, rule

    def examine(
        self, records: Sequence[bytes], format_: Format, document_of: DocumentOf | None = None
    ) -> Examined | None:
        """As `Engine.examine`."""
        del records, format_, document_of
        return None

    def _matches(self, rule: Rule, fields: Fields) -> bool:
        try:
            return holds(rule.condition, fields)
        except Exception as exc:  # noqa: BLE001 - one rule on one event must not stop the others; it is reported
            if self._on_error:
                self._on_error(rule, exc)
            return False
