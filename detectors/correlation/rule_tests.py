"""Runs the tests that a correlation carries, on the real road: bytes → format → rules → signals → steps.

A test lists events in the order of their arrival. An element is the vendor's event itself, or a map with `event` and:

* `times`, `every`: the event comes so many times, each so much later (`30s`) in event time;
* `after`: all of them so much later than the event says;
* `vary`: `{path: text}`, set in each event before it is read; `{n}` in the text is its number, from 1;
* `format`: name of the format, where the rules' log source does not say it.
"""

from __future__ import annotations

import copy
import datetime as dt
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from sigma.correlations import SigmaCorrelationTimespan
from sigma.exceptions import SigmaError

from detectors.correlation.alone import Alone
from detectors.correlation.model import Correlation
from detectors.correlation.signals import Router
from detectors.correlation.state import Signal
from detectors.rule import Rule
from detectors.rule_tests import TestResult
from detectors.sigma.engine import InterpretedEngine, applies
from ingest.document import Identified, Receipt, complete, utc_millis
from ingest.formats.contract import Format
from ingest.schema.errors import ConfigError, RejectedRecord

MAX_EVENTS = 5000  # of one test
_RECEIPT = Receipt(
    namespace="default",
    collector="rule-test",
    received_at=dt.datetime(2100, 1, 1, tzinfo=dt.UTC),  # no event time is beyond, so none is taken for wild
    locator="rule-test",
    ordinal=0,
)


class CorrelationTest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Events, and whether the correlation must fire on them."""

    name: str
    fires: bool
    events: list[dict[str, Any]]


class _Repeated(msgspec.Struct, forbid_unknown_fields=True):
    event: dict[str, Any]
    times: int = 1
    every: str = "1s"
    after: str = ""
    vary: dict[str, str] = {}
    format: str | None = None


class _Unfit(Exception):
    """An event of a test can't be used; the text says why."""


def tests_of(document: Mapping[str, Any], where: str) -> tuple[CorrelationTest, ...]:
    """The tests of a correlation's document.

    Raises:
        ConfigError: They have a wrong shape.
    """
    try:
        return msgspec.convert(document.get("tests") or (), tuple[CorrelationTest, ...])
    except msgspec.ValidationError as exc:
        raise ConfigError(f"reading rule: {exc}", where=f"{where}: tests", mend="docs/rules.md shows a test") from exc


def run_correlation_tests(
    correlation: Correlation,
    tests: Sequence[CorrelationTest],
    below: Sequence[Correlation],
    rules: Sequence[Rule],
    formats: Mapping[str, Format],
) -> list[TestResult]:
    """Run every test of a correlation.

    Args:
        correlation: The one.
        tests: As `tests_of` read them.
        below: The correlations it builds upon, at any depth.
        rules: The rules that all of them refer to.
        formats: By name.
    """
    road = _Road(correlation, below, rules, formats)
    results = []
    for test in tests:
        try:
            reasons = road.reasons(test)
        except (_Unfit, RejectedRecord) as exc:
            why = exc.what if isinstance(exc, RejectedRecord) else str(exc)
            results.append(TestResult(correlation.id, test.name, test.fires, None, why))
            continue
        reason = next(filter(None, reasons), "")
        results.append(TestResult(correlation.id, test.name, test.fires, bool(reasons), reason=reason))
    return results


class _Road:
    """Events to alerts of one correlation."""

    def __init__(
        self,
        correlation: Correlation,
        below: Sequence[Correlation],
        rules: Sequence[Rule],
        formats: Mapping[str, Format],
    ) -> None:
        self._correlation = correlation
        self._all = [*below, replace(correlation, silent=False)]
        self._formats = formats
        self._problems: list[str] = []
        self._newest: tuple[Format, bytes, Identified] | None = None
        self._engine = InterpretedEngine(
            rules,
            {one.log_source: one.aliases for one in formats.values()},
            lambda rule, exc: self._problems.append(f"the rule {rule.id} raised: {exc!r}"),
        )
        self._readers = [f for f in formats.values() if any(applies(rule.log_source, f.log_source) for rule in rules)]

    def reasons(self, test: CorrelationTest) -> list[str]:
        """The reasons of the detections of the correlation, one for each member."""
        self._problems.clear()
        router = Router(self._all)
        alone = Alone(router)
        found = []
        number = 0
        for given in test.events:
            for event, offset, format_ in self._written(given):
                number += 1
                if number > MAX_EVENTS:
                    raise _Unfit(f"the test has more than {MAX_EVENTS} events")
                found += alone.follow(self._signals(router, event, offset, format_, number))
        found += alone.finish()
        if self._problems:
            raise _Unfit(self._problems[0])
        return [detection.reason for detection in found if detection.rule_id == self._correlation.id]

    def _written(self, given: dict[str, Any]) -> Iterator[tuple[dict[str, Any], int, Format]]:
        """Each event of an element, with its offset in ms and its format."""
        try:
            form = msgspec.convert(given, _Repeated) if "event" in given else _Repeated(given)
        except msgspec.ValidationError as exc:
            raise _Unfit(f"an element of `events`: {exc}") from exc
        format_ = self._formats.get(form.format) if form.format else next(iter(self._readers), None)
        if format_ is None:
            raise _Unfit(f"there is no format {form.format!r}" if form.format else "no format has the log source")
        start, step = _span(form.after), _span(form.every)
        for number in range(min(form.times, MAX_EVENTS + 1)):
            event = copy.deepcopy(form.event) if form.vary else form.event
            for path, text in form.vary.items():
                _set(event, path, text.replace("{n}", str(number + 1)))
            yield event, start + number * step, format_

    def _complete(self, format_: Format, record: bytes) -> Identified:
        """The document of a record; an event that a test repeats hundreds of times is normalised once."""
        if self._newest is None or self._newest[:2] != (format_, record):
            self._newest = (format_, record, complete(format_, record, _RECEIPT, _RECEIPT.received_at))
        return self._newest[2]

    def _signals(
        self, router: Router, event: Mapping[str, Any], offset: int, format_: Format, number: int
    ) -> list[Signal]:
        plain = self._complete(format_, msgspec.json.encode(event))
        moment = dt.datetime.fromisoformat(plain.document["@timestamp"]) + dt.timedelta(milliseconds=offset)
        identified = replace(plain, document={**plain.document, "@timestamp": utc_millis(moment)})
        view = identified.reading.view()
        view.ecs = identified.document
        view.member = f"{number}"  # every event of a test is one action, also where its id is repeated

        def index_of(_: Identified) -> str:
            return "rule-test"

        source = format_.log_source
        matches = list(self._engine.match([view], source))
        return router.signals(matches, [view], [identified], source, ruleset_version="test", index_of=index_of)


def _span(text: str) -> int:
    if not text:
        return 0
    try:
        return math.floor(SigmaCorrelationTimespan(text).seconds * 1000)
    except SigmaError as exc:
        raise _Unfit(f"{text!r} is no time span such as 30s, 5m, 1d") from exc


def _set(event: dict[str, Any], path: str, text: str) -> None:
    *way, last = path.split(".")
    node = event
    for key in way:
        node = node.setdefault(key, {})
        if not isinstance(node, dict):
            raise _Unfit(f"`vary` can't set {path}: {key} is no map")
    node[last] = text
