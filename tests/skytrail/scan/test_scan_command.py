"""`skytrail scan` over files, streams and archives: what it prints, how it ends."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import Result
from typer.testing import CliRunner

from ingest.schema.envelope import Envelope, Header, Origin, encode
from ingest.schema.errors import ConfigError
from skytrail.cli.exits import Exit
from skytrail.cli.main import build
from skytrail.scan import pieces as pieces_module
from tests.skytrail.demo.days import the_day
from tests.skytrail.scan.events import RULE, call, lines, rules
from tests.storage.archive.samples import open_store, sealer

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No settings of this machine."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("SKYTRAIL_STATE_DIR", str(tmp_path / "state"))
    yield
    structlog.reset_defaults()  # the command logged to a stream that is closed now


@pytest.fixture
def rule_dir(tmp_path: Path) -> Path:
    return rules(tmp_path / "rules")


def scan(*arguments: str | Path, data: bytes | None = None) -> Result:
    return RUNNER.invoke(build("scan"), ["scan", *map(str, arguments)], input=data, catch_exceptions=False)  # type: ignore[return-value]


def found(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_line_has_the_promised_keys_in_their_order(tmp_path: Path, rule_dir: Path) -> None:
    file = tmp_path / "trail.ndjson"
    file.write_bytes(lines([call(0), call(1, "StopLogging")]))
    result = scan(file, "--rules", rule_dir, "-o", "jsonl")
    assert result.exit_code == Exit.OK
    listed, stopped = found(result)
    assert list(stopped.items()) == [
        ("rule_id", "test-trail-stopped"),
        ("title", "Trail stopped"),
        ("level", "high"),
        ("file", str(file)),
        ("record", 1),
        ("uid", "00000000-0000-4000-8000-000000000001"),
        ("timestamp", "2026-03-01T00:01:00.000Z"),
        ("principal", "mallory"),
        ("reason", "mallory stopped main."),
    ]
    assert listed["record"] == 0
    assert "1 files; 2 events, 0 refused; 2 matches (1 high, 1 low)" in result.stderr


@pytest.mark.parametrize("shape", ["lines", "document", "gzip", "two members", "stdin", "stdin gzip"])
def test_every_way_to_hand_in_the_same_records_gives_the_same_hits(tmp_path: Path, rule_dir: Path, shape: str) -> None:
    events = [call(n, "StopLogging" if n % 3 == 0 else "GetObject") for n in range(30)]
    plain = lines(events)
    data = {
        "lines": plain,
        "document": json.dumps({"Records": events}, indent=1).encode(),
        "gzip": gzip.compress(plain),
        "two members": gzip.compress(lines(events[:10])) + gzip.compress(lines(events[10:])),
        "stdin": plain,
        "stdin gzip": gzip.compress(plain),
    }[shape]
    file = tmp_path / "input"
    file.write_bytes(data)
    result = scan("-", "--rules", rule_dir, data=data) if "stdin" in shape else scan(file, "--rules", rule_dir)
    assert result.exit_code == Exit.OK, result.stderr
    assert [row["record"] for row in found(result)] == list(range(0, 30, 3))
    assert {row["file"] for row in found(result)} == {"-" if "stdin" in shape else str(file)}


@pytest.mark.parametrize("jobs", ["1", "2", "3"])
def test_cuts_and_processes_change_nothing(
    tmp_path: Path, rule_dir: Path, jobs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces_module, "BODY_BYTES", 10_000)
    monkeypatch.setattr(pieces_module, "SMALL_GZIP_BYTES", 1_000)
    events = [call(n, "StopLogging" if n % 7 == 0 else "ListBuckets") for n in range(500)]
    (tmp_path / "logs").mkdir()
    for name, body in (("a.ndjson", lines(events)), ("b.ndjson.gz", gzip.compress(lines(events), 0))):
        (tmp_path / "logs" / name).write_bytes(body)
    result = scan(tmp_path / "logs", "--rules", rule_dir, "--jobs", jobs)
    rows = found(result)
    assert [row["record"] for row in rows] == [*range(500)] * 2
    assert [row["uid"] for row in rows[:500]] == [event["eventID"] for event in events]
    assert "2 files; 1,000 events, 0 refused" in result.stderr


def test_the_day_of_the_demo_gives_the_same_with_one_and_two_processes(tmp_path: Path) -> None:
    for file in the_day().files:
        path = tmp_path / "day" / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.body)
    one, two = (scan(tmp_path / "day", "--jobs", jobs) for jobs in ("1", "2"))
    assert one.stdout == two.stdout
    assert len(found(one)) >= 20
    # Of the export that someone damaged, five records can't become documents.
    assert one.exit_code == two.exit_code == Exit.INCOMPLETE
    assert f"{the_day().expected.received:,} events, 3 refused" in one.stderr


def test_an_archive_gives_the_hits_of_its_records(tmp_path: Path, rule_dir: Path) -> None:
    events = [call(n, "StopLogging" if n % 3 == 0 else "GetObject") for n in range(30)]
    records = [line for line in lines(events).split(b"\n") if line]
    one = sealer(open_store(tmp_path / "archive"))
    moment = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    header = Header(
        format="aws.cloudtrail",
        namespace="acme",
        collector="c",
        received_at=moment,
        origin=Origin(transport="files", locator="x", sha256="ab" * 32),
    )
    for offset in range(3):
        one.add(offset, encode(Envelope(header=header, records=tuple(records[offset * 10 : offset * 10 + 10]))))
    one.seal()
    result = scan(tmp_path / "archive", "--rules", rule_dir)
    assert [row["record"] for row in found(result)] == list(range(0, 30, 3))
    assert {row["file"] for row in found(result)} == {f"{tmp_path}/archive/acme/skytrail.raw.aws.cloudtrail.v1/0"}
    assert result.exit_code == Exit.OK


def test_records_without_an_id_are_told_apart_by_their_order(tmp_path: Path, rule_dir: Path) -> None:
    event = call(0, "StopLogging")
    del event["eventID"]
    file = tmp_path / "twice.ndjson"
    file.write_bytes(lines([event, event, call(1), event]))
    uids = [row["uid"] for row in found(scan(file, "--rules", rule_dir)) if row["rule_id"] == "test-trail-stopped"]
    assert [uid.rsplit(":", 1)[1] for uid in uids] == ["0", "1", "2"]
    assert len({uid.rsplit(":", 1)[0] for uid in uids}) == 1


def test_a_time_range_is_one_of_event_time(tmp_path: Path, rule_dir: Path) -> None:
    file = tmp_path / "trail.ndjson"
    undated = call(9, "StopLogging", eventTime="never")
    file.write_bytes(lines([*(call(n, "StopLogging") for n in range(5)), undated]))
    result = scan(file, "--rules", rule_dir, "--from", "2026-03-01T00:01:00Z", "--to", "2026-03-01T00:03:00Z")
    assert [row["record"] for row in found(result)] == [1, 2, 5]
    assert found(result)[-1]["timestamp"] is None
    assert result.exit_code == Exit.INCOMPLETE
    assert "record 5: reading eventTime" in result.stderr


def test_levels_choose_rules_and_fail_the_command(tmp_path: Path, rule_dir: Path) -> None:
    file = tmp_path / "trail.ndjson"
    file.write_bytes(lines([call(0), call(1, "StopLogging")]))
    high = scan(file, "--rules", rule_dir, "--min-level", "medium")
    assert [row["level"] for row in found(high)] == ["high"]
    assert scan(file, "--rules", rule_dir, "--fail-on", "high").exit_code == Exit.FINDINGS
    assert scan(file, "--rules", rule_dir, "--fail-on", "critical").exit_code == Exit.OK


def test_what_a_watched_party_writes_can_not_move_the_terminal_or_start_a_formula(
    tmp_path: Path, rule_dir: Path
) -> None:
    file = tmp_path / "trail.ndjson"
    name = "=cmd|' /C calc'!A0\x1b[2J\u202egnp"
    file.write_bytes(lines([call(0, "ListBuckets", userIdentity={"type": "IAMUser", "userName": name})]))
    rows = list(csv.DictReader(io.StringIO(scan(file, "--rules", rule_dir, "-o", "csv").stdout)))
    assert rows[0]["principal"].startswith("'=cmd")
    table = scan(file, "--rules", rule_dir, "-o", "table").stdout
    assert "\x1b" not in table
    assert "\u202e" not in table


def test_json_is_one_document_also_without_hits(tmp_path: Path, rule_dir: Path) -> None:
    file = tmp_path / "trail.ndjson"
    file.write_bytes(lines([call(0), call(1)]))
    assert len(json.loads(scan(file, "--rules", rule_dir, "-o", "json").stdout)) == 2
    file.write_bytes(lines([call(0, "GetObject")]))
    assert json.loads(scan(file, "--rules", rule_dir, "-o", "json").stdout) == []


def test_a_timeline_has_what_timesketch_demands_and_one_line_an_event(tmp_path: Path, rule_dir: Path) -> None:
    (rule_dir / "again.yml").write_text(RULE.replace("test-trail", "again-trail").replace("3c1f6a8e", "4c1f6a8e"))
    file = tmp_path / "trail.ndjson"
    file.write_bytes(lines([call(1, "StopLogging"), call(2, "StopLogging", eventTime="never")]))
    dated, undated = found(scan(file, "--rules", rule_dir, "-o", "timesketch"))
    assert dated["datetime"] == "2026-03-01T00:01:00.000+00:00"
    assert dated["timestamp"] == 1_772_323_260_000_000
    assert dated["timestamp_desc"] == "Event Time"
    assert dated["data_type"] == "aws:cloudtrail:entry"
    assert dated["username"] == "mallory"
    assert json.loads(dated["cloud_trail_event"])["eventName"] == "StopLogging"
    assert sorted(dated["tag"]) == ["again-trail-stopped", "test-trail-stopped"]
    assert undated["timestamp_desc"] == "Not a time"


DOCUMENT = b'{"Records":[' + lines([call(n) for n in range(400)]).strip().replace(b"\n", b",") + b"]}"


@pytest.mark.parametrize(
    ("name", "body", "options", "code", "said"),
    [
        ("notes.txt", b"hello\nworld\n", [], Exit.BAD_INPUT, "no format recognises it"),
        ("one.gz", gzip.compress(lines([call(0)]), mtime=0)[:-20], [], Exit.BAD_INPUT, "inflating gzip: it is cut off"),
        ("document.gz", gzip.compress(DOCUMENT, mtime=0)[:-2000], [], Exit.INCOMPLETE, "inflating gzip: it is cut off"),
        ("cut.gz", gzip.compress(lines([call(n) for n in range(50)]), mtime=0)[:-20], [], Exit.INCOMPLETE, "cut off"),
        ("junk", b"hello\nworld\n", ["--format", "aws.cloudtrail"], Exit.BAD_INPUT, "byte 0"),
        ("not.gz", b"\x1f\x8bnothing", ["--format", "aws.cloudtrail"], Exit.BAD_INPUT, "inflating gzip"),
        ("empty", b"", [], Exit.OK, "0 events"),
        ("blank", b"\n \n", ["--format", "aws.cloudtrail"], Exit.OK, "0 events"),
        ("blank", b"\n \n", [], Exit.OK, "0 events"),
        ("blank.gz", gzip.compress(b"\n", mtime=0), [], Exit.OK, "0 events"),
        ("wrapper", b'{"Records": []}\n', [], Exit.OK, "1 files; 0 events"),
        ("wrapper.gz", gzip.compress(b'{"Records": []}', mtime=0), [], Exit.OK, "1 files; 0 events"),
        ("list", b" [ ]", [], Exit.OK, "1 files; 0 events"),
        ("other", b'{"Records": {}}', [], Exit.BAD_INPUT, "no format recognises it"),
    ],
)
def test_what_can_not_be_read_is_named_and_decides_the_exit_code(
    tmp_path: Path, rule_dir: Path, name: str, body: bytes, options: list[str], code: Exit, said: str
) -> None:
    file = tmp_path / name
    file.write_bytes(body)
    result = scan(file, "--rules", rule_dir, *options)
    assert said in result.stderr
    assert result.exit_code == code


def test_what_can_not_be_read_beside_what_is_empty_is_incomplete(tmp_path: Path, rule_dir: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "notes.txt").write_bytes(b"hello")
    assert scan(folder, "--rules", rule_dir).exit_code == Exit.BAD_INPUT
    (folder / "empty.json").write_bytes(b'{"Records":[]}')
    assert scan(folder, "--rules", rule_dir).exit_code == Exit.INCOMPLETE
    with pytest.raises(ConfigError, match="no such file"):
        scan(folder / "not-there", "--rules", rule_dir)


def test_a_broken_line_costs_itself_only(tmp_path: Path, rule_dir: Path) -> None:
    file = tmp_path / "trail.ndjson"
    file.write_bytes(lines([call(0)]) + b'{"eventName": "Stop\n' + b'{"note": 1}\n' + lines([call(1, "StopLogging")]))
    result = scan(file, "--rules", rule_dir, "--summary-file", tmp_path / "summary.json")
    assert [row["record"] for row in found(result)] == [0, 3]
    assert "record 1" in result.stderr
    assert "record 2" in result.stderr
    assert result.exit_code == Exit.INCOMPLETE
    told = json.loads((tmp_path / "summary.json").read_text())
    assert (told["events"], told["refused"], told["matches"]) == (4, 2, {"high": 1, "low": 1})


def test_findings_weigh_more_than_what_was_not_read(tmp_path: Path, rule_dir: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a").write_bytes(lines([call(0, "StopLogging")]))
    (tmp_path / "logs" / "b").write_bytes(b"no log")
    assert scan(tmp_path / "logs", "--rules", rule_dir, "--fail-on", "high").exit_code == Exit.FINDINGS
    assert scan(tmp_path / "logs", "--rules", rule_dir).exit_code == Exit.INCOMPLETE


def test_an_unknown_format_and_a_bad_time_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no format"):
        scan(tmp_path, "--format", "aws.nothing")
    with pytest.raises(ConfigError, match="reading time"):
        scan(tmp_path, "--from", "yesterday")


def test_an_early_stage_of_a_kubernetes_request_is_left_to_the_later_one(tmp_path: Path) -> None:
    request = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "auditID": "a1",
        "verb": "create",
        "requestURI": "/api/v1/namespaces/shop/pods/web/exec?command=sh",
        "user": {"username": "mallory"},
        "sourceIPs": ["192.0.2.7"],
        "objectRef": {"resource": "pods", "subresource": "exec", "namespace": "shop", "name": "web"},
        "stageTimestamp": "2026-03-01T00:00:00.000000Z",
        "requestReceivedTimestamp": "2026-03-01T00:00:00.000000Z",
    }
    stages = [{**request, "stage": stage} for stage in ("RequestReceived", "ResponseStarted")]
    file = tmp_path / "audit.log"
    file.write_bytes(lines(stages))
    rows = [row for row in found(scan(file)) if row["rule_id"] == "kubernetes-pod-exec"]
    assert [row["record"] for row in rows] == [1]


def test_a_dead_link_and_a_pipe_beside_logs_are_named_even_when_quiet_and_end_with_5(
    tmp_path: Path, rule_dir: Path
) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "trail.ndjson").write_bytes(lines([call(0, "StopLogging")]))
    (logs / "dead.ndjson").symlink_to(tmp_path / "gone.ndjson")
    os.mkfifo(logs / "pipe")
    summary = tmp_path / "summary.json"
    result = scan(logs, "--rules", rule_dir, "-o", "jsonl", "--quiet", "--summary-file", summary)
    assert result.exit_code == Exit.INCOMPLETE
    assert [hit["rule_id"] for hit in found(result)] == ["test-trail-stopped"]
    assert "dead.ndjson: looking for input: the link leads nowhere" in result.stderr
    assert "pipe: looking for input: it is a pipe" in result.stderr
    assert json.loads(summary.read_text())["files_unreadable"] == 2
