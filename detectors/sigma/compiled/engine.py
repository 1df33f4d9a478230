"""The compiled engine: equal to the interpreter on every input, and made not to look at most rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from detectors.rule import Rule
from detectors.sigma.compiled.counts import Counts
from detectors.sigma.compiled.document import view_of
from detectors.sigma.compiled.gate import BuildSearch
from detectors.sigma.compiled.raw import RawProgram
from detectors.sigma.compiled.shape import all_shapes
from detectors.sigma.compiled.views import ViewProgram
from detectors.sigma.engine import Aliases, DocumentOf, Examined, OnError, applies, known_aliases
from ingest.formats.contract import Format, LogSource, View
from ingest.schema.errors import RejectedRecord


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How many rules of a format are looked at when.

    Attributes:
        keyed: Once per key.
        remembered: Once per value of a field.
        gated: When a literal is in the bytes.
        everywhere: At every key that leaves them open: expensive.
        interpreted: Of the latter, those that could not be compiled.
    """

    keyed: int
    remembered: int
    gated: int
    everywhere: int
    interpreted: int


class CompiledEngine:
    """Rules arranged so that an event meets only those that it may match. Immutable but for what it remembers.

    Not to be shared between threads: what it remembers of one call is used by the next.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        aliases: Aliases | None = None,
        on_error: OnError | None = None,
        *,
        search: BuildSearch | None = None,
    ) -> None:
        """Take the rules; they are compiled for a log source when its first event comes.

        Args:
            rules: The rules, in the order of their matches.
            aliases: Per log source; None: those of the formats. The raw path always uses those of the format.
            on_error: Told of a rule that raised on an event.
            search: How the literal gate searches; None: the fastest that is installed.
        """
        self._rules = tuple(rules)
        self._aliases = known_aliases() if aliases is None else aliases
        self._on_error = on_error
        self._search = search
        self._views: dict[LogSource, ViewProgram] = {}
        self._raw: dict[str, RawProgram] = {}

    @property
    def rules(self) -> Sequence[Rule]:
        """The rules it runs, in their order."""
        return self._rules

    @property
    def counts(self) -> Counts:
        """What the raw path did since the start."""
        return sum((program.counts for program in self._raw.values()), Counts())

    def make_ready(self, formats: Iterable[Format]) -> None:
        """Compile the rules for some formats now, not when their first event comes."""
        for format_ in formats:
            self._program(format_.log_source)
            self._raw_program(format_)

    def match(self, views: Sequence[View], source: LogSource) -> Iterator[tuple[int, Rule]]:
        """As `Engine.match`."""
        program = self._program(source)
        for index, view in enumerate(views):
            for number in program.match(view):
                yield index, self._rules[number]

    def match_raw(
        self, records: Sequence[bytes], format_: Format, document_of: DocumentOf | None = None
    ) -> Iterator[tuple[int, Rule]]:
        """Yield (index of the record, rule) for every match; arguments and what rules see are as for `examine`."""
        program = self._raw_program(format_)
        if program is None:
            yield from self._match_general(records, format_, document_of)
            return
        for index, number in program.match(records, format_, document_of):
            yield index, self._rules[number]

    def examine(
        self, records: Sequence[bytes], format_: Format, document_of: DocumentOf | None = None
    ) -> Examined | None:
        """As `Engine.examine`."""
        program = self._raw_program(format_)
        if program is None:
            return None
        told = Examined()
        told.matches.extend(
            (at, self._rules[number]) for at, number in program.match(records, format_, document_of, told)
        )
        return told

    def arrangement(self, format_: Format) -> Arrangement | None:
        """How the rules of a format with a raw path are arranged; None without one."""
        program = self._raw_program(format_)
        if program is None:
            return None
        prepared = program.prepared
        remembered = {number for tests in prepared.remembered.values() for _, number in tests}
        gated = {number for texts in prepared.gated.values() for numbers in texts.values() for number in numbers}
        keyed = len(prepared.candidates) - len(remembered) - len(gated) - len(prepared.unwitnessed)
        return Arrangement(keyed, len(remembered), len(gated), len(prepared.unwitnessed), len(prepared.interpreted))

    def remembered(self, format_: Format) -> dict[str, int]:
        """How many entries each memory of a format's raw path has; empty without one."""
        program = self._raw_program(format_)
        return program.remembered() if program else {}

    def _match_general(
        self, records: Sequence[bytes], format_: Format, document_of: DocumentOf | None
    ) -> Iterator[tuple[int, Rule]]:
        program = self._program(format_.log_source)
        for index, record in enumerate(records):
            try:
                reading = format_.read(record)
            except RejectedRecord:
                continue  # no record of this format, as above
            for number in program.match(view_of(index, reading, document_of)):
                yield index, self._rules[number]

    def _program(self, source: LogSource) -> ViewProgram:
        known = self._views.get(source)
        if known is None:
            known = ViewProgram(self._numbered(source), self._aliases.get(source, {}), self._on_error)
            self._views[source] = known
        return known

    def _raw_program(self, format_: Format) -> RawProgram | None:
        known = self._raw.get(format_.name)
        shape = all_shapes().get(format_.name)
        if known is None and shape is not None:
            source = format_.log_source
            known = self._raw[format_.name] = RawProgram(
                self._numbered(source), format_, shape, self._program(source), self._on_error, self._search
            )
        return known

    def rules_for(self, source: LogSource) -> tuple[Rule, ...]:
        """The rules that see events of a log source."""
        return tuple(rule for _, rule in self._numbered(source))

    def _numbered(self, source: LogSource) -> list[tuple[int, Rule]]:
        return [(number, rule) for number, rule in enumerate(self._rules) if applies(rule.log_source, source)]
