"""Rules that are broken, hostile or many: named, left out, and the others go on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from detectors.rulebook import load
from ingest.schema.errors import ConfigError
from skytrail.cli.exits import Exit
from skytrail.cli.main import build, first_word
from tests.skytrail.scan.events import RULE, call, lines, rules

RUNNER = CliRunner()
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
)
BROKEN = {
    "syntax.yml": "title: [unclosed\n",
    "modifier.yml": RULE.replace("{eventName: StopLogging}", "{eventName|shout: StopLogging}"),
    "lookaround.yml": RULE.replace("{eventName: StopLogging}", "{eventName|re: '(?=a)b'}"),
    "bomb.yml": BOMB,
    "binary.yml": "\x00\x01\x02",
    "no_condition.yml": RULE.replace("  condition: selection\n", ""),
}


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("SKYTRAIL_STATE_DIR", str(tmp_path / "state"))
    yield
    structlog.reset_defaults()


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    file = tmp_path / "trail.ndjson"
    file.write_bytes(lines([call(0), call(1, "StopLogging")]))
    return file


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_named_and_the_others_go_on(tmp_path: Path, trail: Path, name: str) -> None:
    directory = rules(tmp_path / "rules")
    (directory / name).write_text(BROKEN[name])
    began = time.monotonic()
    result = RUNNER.invoke(build("scan"), ["scan", str(trail), "--rules", str(directory)], catch_exceptions=False)
    assert result.exit_code == Exit.INCOMPLETE
    assert name in result.stderr
    assert len(result.stdout.splitlines()) == 2
    assert time.monotonic() - began < 30


def test_strict_stops_before_anything_is_read(tmp_path: Path, trail: Path) -> None:
    directory = rules(tmp_path / "rules")
    (directory / "syntax.yml").write_text(BROKEN["syntax.yml"])
    arguments = ["scan", str(trail), "--rules", str(directory), "--strict"]
    result = RUNNER.invoke(build(first_word(arguments)), arguments, catch_exceptions=False)
    assert result.exit_code == Exit.BAD_INPUT
    assert result.stdout == ""


def test_a_backtest_with_a_refused_rule_is_incomplete(tmp_path: Path, trail: Path) -> None:
    directory = rules(tmp_path / "rules")
    arguments = ["rules", "backtest", str(directory), str(trail)]
    assert RUNNER.invoke(build("rules"), arguments, catch_exceptions=False).exit_code == Exit.OK
    (directory / "syntax.yml").write_text(BROKEN["syntax.yml"])
    assert RUNNER.invoke(build("rules"), arguments, catch_exceptions=False).exit_code == Exit.INCOMPLETE


@pytest.mark.parametrize("verb", [["scan"], ["rules", "backtest"]], ids=["scan", "backtest"])
def test_the_summary_counts_the_rules_that_were_refused(tmp_path: Path, trail: Path, verb: list[str]) -> None:
    directory, summary = rules(tmp_path / "rules"), tmp_path / "summary.json"
    places = [str(trail), "--rules", str(directory)] if verb == ["scan"] else [str(directory), str(trail)]
    app = build(verb[0])
    counted = []
    for name in (None, "syntax.yml", "modifier.yml"):
        if name:
            (directory / name).write_text(BROKEN[name])
        RUNNER.invoke(app, [*verb, *places, "--summary-file", str(summary)], catch_exceptions=False)
        told = json.loads(summary.read_text("utf-8"))
        counted.append(told["rules_refused"])
        assert told["matches"] == {"high": 1, "low": 1}
    assert counted == [0, 1, 2]


def test_a_summary_that_cannot_be_written_is_told_with_its_file(tmp_path: Path, trail: Path) -> None:
    arguments = ["scan", str(trail), "--rules", str(rules(tmp_path / "rules")), "--summary-file", str(tmp_path)]
    with pytest.raises(ConfigError, match="writing the summary"):
        RUNNER.invoke(build(), arguments, catch_exceptions=False)


def test_rules_are_listed_without_running_their_tests(tmp_path: Path) -> None:
    directory = rules(tmp_path / "rules")
    failing = RULE.replace("test-trail-stopped", "test-failing").replace("3c1f6a8e", "4c1f6a8e")
    event = json.dumps({**call(0), "eventName": "StartLogging"})
    failing += f"tests:\n  - {{name: fires, fires: true, event: {event}}}\n"
    (directory / "failing.yml").write_text(failing)
    listed = RUNNER.invoke(build("rules"), ["rules", "list", str(directory), "-o", "json"], catch_exceptions=False)
    assert "0 refused" in listed.stderr
    assert {row["id"]: row["tests"] for row in json.loads(listed.stdout)}["test-failing"] == 1
    tested = RUNNER.invoke(build("rules"), ["rules", "test", str(directory)], catch_exceptions=False)
    assert tested.exit_code == Exit.BAD_INPUT
    assert "test-failing" in tested.stderr


@pytest.mark.parametrize("verb", ["lint", "test"])
def test_a_path_without_a_rule_file_and_a_link_that_leads_nowhere_are_said(tmp_path: Path, verb: str) -> None:
    def told(path: Path) -> tuple[int, str]:
        result = RUNNER.invoke(build("rules"), ["rules", verb, str(path)], catch_exceptions=False)
        return result.exit_code, result.stdout + result.stderr

    directory = tmp_path / "rules"
    directory.mkdir()
    (directory / "notes.md").write_text("")
    code, said = told(directory)
    assert code == Exit.BAD_INPUT
    assert "no rule file (*.yml, *.yaml) lies here" in said
    (directory / "X.YML").write_text(RULE)
    code, said = told(directory)
    assert code == Exit.OK
    assert "1 rules" in said
    (directory / "gone.yml").symlink_to("nothing.yml")
    code, said = told(directory)
    assert code == Exit.BAD_INPUT
    assert "gone.yml" in said


def test_without_any_rule_there_is_nothing_to_scan_with(tmp_path: Path, trail: Path) -> None:
    (tmp_path / "rules").mkdir()
    result = RUNNER.invoke(
        build("scan"), ["scan", str(trail), "--rules", str(tmp_path / "rules")], catch_exceptions=False
    )
    assert result.exit_code == Exit.BAD_INPUT


def test_a_catastrophic_pattern_takes_no_longer_than_any_other(tmp_path: Path) -> None:
    directory = tmp_path / "rules"
    directory.mkdir()
    (directory / "catastrophic.yml").write_text(RULE.replace("{eventName: StopLogging}", "{userAgent|re: '^(a+)+$'}"))
    file = tmp_path / "trail.ndjson"
    file.write_bytes(lines([call(n, userAgent="a" * 50_000 + "!") for n in range(20)]))
    began = time.monotonic()
    result = RUNNER.invoke(build("scan"), ["scan", str(file), "--rules", str(directory)], catch_exceptions=False)
    assert result.exit_code == Exit.OK
    assert result.stdout == ""
    assert time.monotonic() - began < 30


@pytest.mark.slow
def test_ten_thousand_rules_load_and_scan_in_bounded_time(tmp_path: Path) -> None:
    directory = tmp_path / "rules"
    directory.mkdir()
    for part in range(10):
        documents = [
            RULE.replace("test-trail-stopped", f"many-{part}-{n}")
            .replace("id: 3c1f6a8e-0a5a-4f6e-9b0a-2f3f9c8d7e61\n", "")
            .replace("{eventName: StopLogging}", f"{{eventName: Call{part}x{n}}}")
            for n in range(1000)
        ]
        (directory / f"{part}.yml").write_text("---\n".join(documents))
    began = time.process_time()
    book = load([directory])
    assert len(book.rules) == 10_000
    assert time.process_time() - began < 120
    file = tmp_path / "trail.ndjson"
    file.write_bytes(lines([call(n, f"Call3x{n}") for n in range(100)]))
    arguments = ["scan", str(file), "--rules", str(directory), "--jobs", "1"]
    result = RUNNER.invoke(build(first_word(arguments)), arguments, catch_exceptions=False)
    assert [json.loads(line)["rule_id"] for line in result.stdout.splitlines()] == [f"many-3-{n}" for n in range(100)]
