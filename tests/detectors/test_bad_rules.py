"""Rules that are broken, hostile or many: each is named with its reason, and the compiled engine runs the others."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any, cast

import pytest
import structlog
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from detectors.correlation.link import MAX_CHAIN, link
from detectors.correlation.parse import parse_correlation
from detectors.proving import no_file
from detectors.rule import build_rule
from detectors.rulebook import Rulebook, load
from detectors.sigma.compiled.engine import CompiledEngine
from detectors.sigma.parse import parse
from ingest.formats.contract import Format
from ingest.formats.registry import format_named
from skytrail.cli.exits import Exit
from skytrail.cli.main import build
from tests.skytrail.scan.events import RULE, call, rules

SECONDS = 60.0
"""No broken rule may cost more; each takes a few seconds at most, this allows for a busy machine."""
SELECTION = "{eventName: StopLogging}"
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
)
COUNT = "type: event_count, group-by: [awsRegion], timespan: 5m, condition: {gte: 2}"


def with_selection(selection: str) -> str:
    return RULE.replace("test-trail", "bad-trail").replace("3c1f6a8e", "4c1f6a8e").replace(SELECTION, selection)


def with_line(line: str) -> str:
    return with_selection(SELECTION) + line + "\n"


def counting(name: str, upon: str) -> str:
    return f"title: {name}\nname: {name}\ncorrelation: {{{COUNT}, rules: [{upon}]}}\n"


REFUSED = {
    "a syntax error": ("title: [unclosed\n", "reading YAML"),
    "no text": ("\x00\x01\x02", "reading YAML"),
    "a YAML bomb": (BOMB, "nodes when its aliases are written out"),
    "an endless alias": ("a: &a [*a]\n", "inside its own anchor"),
    "code in YAML": ("!!python/object/apply:os.system ['true']\n", "could not determine a constructor"),
    "depth": ("[" * 5000, "nested deeper"),
    "an unknown modifier": (with_selection("{eventName|shout: a}"), "no modifier 'shout'"),
    "a look-ahead": (with_selection("{eventName|re: '(?=a)b'}"), "regular expression"),
    "a pattern that explodes": (with_selection("{eventName|re: '((a{1,100}){1,100}){1,100}'}"), "regular expression"),
    "a back reference": (with_selection("{eventName|re: '(a)\\1'}"), "regular expression"),
    "dashes that multiply": (with_selection(f"{{eventName|windash: '{' -a' * 25}'}}"), "more than 1000 texts"),
    "a long condition": (
        with_line("x: y").replace("condition: selection", f"condition: {'not ' * 5000}selection"),
        "longer",
    ),
    "an unknown level": (with_selection(SELECTION).replace("level: high", "level: extreme"), "none of informational"),
    "an endless window": (with_line("suppression: {by: [a], window_seconds: 99999999999999}"), "not between"),
    "a number as key": (with_selection("{5: A}"), "the key 5 is no text"),
    "a number as key in a test": (
        with_line("tests: [{name: a, fires: true, event: {requestParameters: {443: open}}}]"),
        "the key 443 is no text",
    ),
    "a number as key of something else": (with_line("custom: {5: x}"), "the key 5 is no text"),
    "a number as key of a filter": (
        "title: f\nlogsource: {product: aws}\nfilter: {rules: any, s: {5: x}, condition: s}\n",
        "the key 5 is no text",
    ),
    "a number as key of a correlation": (counting("bad", "test-trail-stopped") + "custom: {5: x}\n", "the key 5 is"),
    "a number as id": (with_selection(SELECTION).replace("id: 4c1f6a8e-0a5a-4f6e-9b0a-2f3f9c8d7e61", "id: 5"), "at id"),
    "no rule": ("- a\n", "a map is wanted"),
    "a failing test": (
        with_line("tests: [{name: a miss, fires: true, event: " + json.dumps(call(1)) + "}]"),
        "did not fire",
    ),
    "itself": (counting("bad", "bad"), "it refers to itself: bad → bad"),
    "a circle": (counting("bad", "worse") + "---\n" + counting("worse", "bad"), "bad → worse → bad"),
    "a lateness without end": (
        counting("bad", "test-trail-stopped").replace("gte: 2}", "gte: 2}, lateness: 99999999999999999999d"),
        "longer than 400 days at correlation.lateness",
    ),
    "a timespan without end": (
        counting("bad", "test-trail-stopped").replace("5m", "99999999999999999999d"),
        "longer than 400 days at correlation.timespan",
    ),
    "nothing": (counting("bad", "no-such-rule"), "there is no rule no-such-rule"),
    "an endless chain": ("---\n".join(counting(f"c{n}", f"c{n + 1}") for n in range(1200)), f"more than {MAX_CHAIN}"),
}


def found_by(book: Rulebook) -> list[str]:
    """What the compiled engine makes of two events, with the names of rules."""
    engine = CompiledEngine(book.evaluated, on_error=lambda rule, error: pytest.fail(f"{rule.id} raised {error!r}"))
    records = [json.dumps(event).encode() for event in (call(1, "StopLogging"), call(2))]
    return [rule.id for _, rule in engine.match_raw(records, format_named("aws.cloudtrail"))]


@pytest.mark.parametrize("name", REFUSED)
def test_a_broken_rule_is_named_with_its_reason_and_the_others_run(tmp_path: Path, name: str) -> None:
    text, why = REFUSED[name]
    directory = rules(tmp_path / "rules")
    (directory / "broken.yml").write_text(text)
    began = time.monotonic()
    book = load([directory])
    assert any(why in finding.message for finding in book.errors), book.errors
    assert {Path(finding.file).name for finding in book.errors} == {"broken.yml"}
    assert found_by(book) == ["test-trail-stopped", "test-buckets-listed"]
    assert time.monotonic() - began < SECONDS


ACCEPTED = {
    "a catastrophic pattern": "{userAgent|re: '^(a+)+$'}",
    "five hundred patterns": "{userAgent|re: [" + ", ".join(f"'(a|b|ab)*c{{1,200}}{n}'" for n in range(500)) + "]}",
    "two thousand stars": "{userAgent: '" + "*a" * 2000 + "'}",
    "ten thousand values": "{userAgent|contains: [" + ", ".join(f"w{n}" for n in range(10_000)) + "]}",
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_expensive_rule_costs_an_event_little(tmp_path: Path, name: str) -> None:
    (tmp_path / "rule.yml").write_text(with_selection(ACCEPTED[name]))
    book = load([tmp_path])
    engine = CompiledEngine(book.evaluated, on_error=lambda rule, error: pytest.fail(f"{rule.id} raised {error!r}"))
    trail = format_named("aws.cloudtrail")
    records = [json.dumps(call(n, userAgent="a" * 20_000 + f"!{n}")).encode() for n in range(20)]
    list(engine.match_raw(records[:1], trail))  # compiles
    began = time.process_time()
    list(engine.match_raw(records, trail))
    assert time.process_time() - began < SECONDS / 4


def test_ten_thousand_rules_and_a_broken_one_among_them_are_compiled(tmp_path: Path) -> None:
    one = RULE.replace("id: 3c1f6a8e-0a5a-4f6e-9b0a-2f3f9c8d7e61\n", "")
    for part in range(10):
        many = (
            one.replace("test-trail-stopped", f"many-{part}-{n}").replace("StopLogging", f"Call{part}x{n}")
            for n in range(1000)
        )
        (tmp_path / f"{part}.yml").write_text("---\n".join(many))
    (tmp_path / "broken.yml").write_text(REFUSED["an unknown modifier"][0])
    book = load([tmp_path], prove=no_file)
    assert (len(book.rules), [Path(finding.file).name for finding in book.errors]) == (10_000, ["broken.yml"])
    engine = CompiledEngine(book.evaluated)
    records = [json.dumps(call(n, f"Call7x{n * 9}")).encode() for n in range(100)]
    found = [(place, rule.id) for place, rule in engine.match_raw(records, format_named("aws.cloudtrail"))]
    assert found == [(n, f"many-7-{n * 9}") for n in range(100)]


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["5m", "a", "*", "%x%"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)
PARTS = st.sampled_from(
    [
        "rules",
        "type",
        "group-by",
        "timespan",
        "condition",
        "aliases",
        "generate",
        "field",
        "s",
        "a|re",
        "a|cidr",
        "a|gt",
    ]
)
_KEYS = """title name id level status logsource detection correlation filter tags tests reason runbook suppression
falsepositives references version expires owner namespaces taxonomy date"""
KEYS = st.sampled_from(_KEYS.split())
BODIES = st.one_of(VALUES, st.dictionaries(PARTS, VALUES, max_size=5))
DOCUMENTS = st.dictionaries(KEYS, BODIES, max_size=6)
FRAME: dict[str, Any] = {
    "title": "t",
    "name": "fuzzed",
    "logsource": {"product": "aws"},
    "detection": {"s": {"a": "b"}, "condition": "s"},
}


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(DOCUMENTS, st.booleans()), min_size=1, max_size=3))
def test_whatever_a_file_holds_the_other_rules_are_loaded(
    tmp_path_factory: pytest.TempPathFactory, documents: list[tuple[dict[str, Any], bool]]
) -> None:
    directory = rules(tmp_path_factory.mktemp("fuzzed"))
    framed = [{**FRAME, **one} if frame else one for one, frame in documents]
    (directory / "fuzzed.yml").write_bytes(yaml.safe_dump_all(framed, allow_unicode=True).encode("utf-8", "replace"))
    book = load([directory])
    assert {"test-trail-stopped", "test-buckets-listed"} <= {rule.id for rule in book.evaluated}
    assert "test-trail-stopped" in found_by(book)


class Faulty:
    """CloudTrail's format, with a fault on some events."""

    def __init__(self) -> None:
        self._sound = format_named("aws.cloudtrail")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sound, name)

    def read(self, record: bytes) -> Any:
        if b"poison" in record:
            raise ZeroDivisionError("poison")
        return self._sound.read(record)


@pytest.mark.parametrize(
    "text",
    [
        with_line("tests: [{name: a, fires: true, event: {x: poison}}]"),
        counting("bad", "test-trail-stopped") + "tests: [{name: a, fires: true, events: [{x: poison}]}]\n",
    ],
    ids=["a rule", "a correlation"],
)
def test_whatever_is_raised_about_a_rule_it_is_named_and_the_others_run(tmp_path: Path, text: str) -> None:
    directory = rules(tmp_path)
    (directory / "broken.yml").write_text(text)
    (directory / "upon.yml").write_text(counting("upon", "bad"))
    book = load([directory], formats={"aws.cloudtrail": cast("Format", Faulty())})
    told = {Path(finding.file).name: finding.message for finding in book.errors}
    assert told.keys() == {"broken.yml", "upon.yml"}
    assert "ZeroDivisionError: poison" in told["broken.yml"]
    assert found_by(book) == ["test-trail-stopped", "test-buckets-listed"]


def test_whatever_is_raised_when_a_correlation_is_linked_the_others_are_linked() -> None:
    class Hostile:
        def __str__(self) -> str:
            raise ZeroDivisionError("poison")

    rule = build_rule(parse(yaml.safe_load(RULE), where="rule.yml"), where="rule.yml")
    documents = [yaml.safe_load(counting(name, rule.id)) for name in ("bad", "good")]
    documents[0]["custom"] = Hostile()
    drafts = [parse_correlation(document, where="file.yml") for document in documents]
    linked = link(drafts, {rule.id: rule})
    assert [one.id for _, one in linked.pairs] == ["good"]
    assert [(one.draft.name, one.error.what) for one in linked.refused] == [
        ("bad", "reading correlation: ZeroDivisionError: poison")
    ]


def test_what_is_no_file_or_endless_neither_stalls_nor_fills_who_loads_a_directory(tmp_path: Path) -> None:
    directory = rules(tmp_path / "rules")
    os.mkfifo(directory / "pipe.yml")
    os.mkfifo(tmp_path / "pipe")
    (directory / "linked.yml").symlink_to(tmp_path / "pipe")
    (directory / "endless.yml").symlink_to("/dev/zero")
    with (directory / "large.yml").open("wb") as large:
        large.truncate(1 << 40)
    began = time.monotonic()
    book = load([directory], prove=no_file)
    assert time.monotonic() - began < SECONDS
    assert len(book.rules) == 2
    said = {Path(error.file).name: error.message for error in book.errors}
    assert said.keys() == {"pipe.yml", "linked.yml", "endless.yml", "large.yml"}
    assert "1099511627776 bytes" in said.pop("large.yml")
    assert all("it is no regular file" in message for message in said.values())


def test_a_pipe_that_somebody_names_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(RULE,))
    writer.start()
    book = load([tmp_path / "pipe"], prove=no_file)
    writer.join()
    assert [rule.id for rule in book.rules] == ["test-trail-stopped"]


def test_lint_names_every_broken_rule_at_once_with_exit_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    directory = rules(tmp_path / "rules")
    for number, (text, _) in enumerate(REFUSED.values()):
        unlike = (
            text.replace("bad-trail", f"bad-{number}")
            .replace("4c1f6a8e", f"{number:08d}")
            .replace("bad", f"bad{number}")
        )
        (directory / f"broken{number:02d}.yml").write_text(unlike)
    result = CliRunner().invoke(build("rules"), ["rules", "lint", str(directory), "-o", "json"], catch_exceptions=False)
    assert result.exit_code == Exit.BAD_INPUT
    named = {Path(row["file"]).name for row in json.loads(result.stdout) if row["severity"] == "error"}
    assert named == {f"broken{number:02d}.yml" for number in range(len(REFUSED))}
    assert "2 rules" in result.stderr
    structlog.reset_defaults()  # the command logged to a stream that is closed now
