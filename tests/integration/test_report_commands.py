"""`skytrail report make|verify|deliver` on real engines: every kind is made, and checked where it lies."""

from __future__ import annotations

import asyncio
import json
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from ingest.formats.registry import all_formats
from skytrail.cli.exits import Exit
from skytrail.cli.main import build
from skytrail.reports.files import DOCUMENT
from skytrail.reports.gathering import all_kinds
from skytrail.reports.report import Verdict, decode
from skytrail.settings import load
from streams.topic_admin import ensure_topics
from streams.topics import all_topics
from tests.ingest.transports.aws.servers import moto
from tests.integration.test_retention import Scene, scene
from tests.integration.test_rotation import config
from tests.storage.archive.buckets import client
from tests.storage.minio import in_environment

__all__ = ["scene"]
pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]
ENDS = {Verdict.FAIL: Exit.FINDINGS, Verdict.NOT_MEASURED: Exit.INCOMPLETE}


class Auditor:
    """Somebody at a command line."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def report(self, *words: object) -> Result:
        arguments = ["--config", str(self.file), "report", *map(str, words)]
        return CliRunner().invoke(build("report"), arguments, catch_exceptions=False)

    def make(self, kind: str, out: Path, *words: object) -> str:
        """Make a report; the key that it is signed by, as the command told it."""
        made = self.report("make", kind, "--out", out, *words)
        verdict = decode((out / DOCUMENT).read_bytes()).verdict
        assert made.exit_code == ENDS.get(verdict, 0), made.output
        assert f"{verdict.value}. Written to {out}; signed by " in made.stderr
        line = next(line for line in made.stderr.splitlines() if "signed by " in line)
        return line.rpartition("signed by ")[2].strip()

    def settled(self, tables: dict[str, object]) -> None:
        """Add tables to the settings."""
        known = tomllib.loads(self.file.read_text())
        self.file.write_bytes(msgspec.toml.encode(known | tables))


@pytest.fixture
def auditor(scene: Scene, engines) -> Auditor:
    made = Auditor(config(scene, engines))
    asyncio.run(ensure_topics(load(made.file).kafka, all_topics(list(all_formats()))))
    return made


@pytest.mark.parametrize("kind", sorted(all_kinds()))
def test_every_kind_is_made_and_checked_and_one_changed_byte_is_found(
    kind: str, auditor: Auditor, scene: Scene, tmp_path: Path
) -> None:
    out = tmp_path / "report"
    key = auditor.make(kind, out, "-n", scene.namespace, "--from", "2024-11-01", "-o", "json")
    names = {path.name for path in out.iterdir()}
    assert {DOCUMENT, "report.html", "report.pdf"} < names
    assert any(name.endswith(".csv") for name in names)
    assert decode((out / DOCUMENT).read_bytes()).kind == kind
    verified = auditor.report("verify", out, "--key", key, "-o", "json")
    assert (verified.exit_code, json.loads(verified.stdout)["genuine"]) == (0, True)
    for name in sorted(names):
        path = out / name
        body = path.read_bytes()
        path.write_bytes(bytes([body[0] ^ 1]) + body[1:])
        changed = auditor.report("verify", out, "--key", key)
        assert changed.exit_code == Exit.FINDINGS, name
        path.write_bytes(body)
    assert auditor.report("verify", out, "--key", key).exit_code == 0


def test_a_report_is_not_written_over_and_one_of_no_kind_is_not_made(auditor: Auditor, tmp_path: Path) -> None:
    out = tmp_path / "report"
    auditor.make("retention", out)
    before = (out / DOCUMENT).read_bytes()
    again = CliRunner().invoke(
        build("report"), ["--config", str(auditor.file), "report", "make", "retention", "--out", str(out)]
    )
    assert again.exit_code != 0
    assert (out / DOCUMENT).read_bytes() == before
    listed = auditor.report("kinds", "-o", "json")
    assert {row["kind"] for row in json.loads(listed.stdout)} == set(all_kinds())


@pytest.fixture
def bucket() -> Iterator[str]:
    """A bucket of moto, found as the tools of AWS find it."""
    name = f"reports-{uuid.uuid4().hex}"
    with in_environment(moto()):
        client().create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        yield name


def test_what_is_due_is_delivered_once_to_each_place_and_checked_where_it_lies(
    auditor: Auditor, scene: Scene, bucket: str, tmp_path: Path
) -> None:
    daily = {"kind": "integrity", "namespace": scene.namespace, "directory": str(tmp_path / "daily")}
    place = {"bucket": bucket, "prefix": "weekly", "lock": "none"}
    weekly = {"kind": "retention", "every": "week", "s3": place}
    auditor.settled({"reports": {"deliveries": {"daily": daily, "weekly": weekly}}})
    done = auditor.report("deliver", "-o", "json")
    assert done.exit_code == 0, done.output
    rows = {row["delivery"]: row for row in json.loads(done.stdout)}
    assert set(rows) == {"daily", "weekly"}
    assert rows["weekly"]["place"].startswith(f"s3://{bucket}/weekly/")
    key = auditor.make("retention", tmp_path / "for-its-key")
    for row in rows.values():
        verified = auditor.report("verify", row["place"], "--key", key, "-o", "json")
        assert (verified.exit_code, json.loads(verified.stdout)["genuine"]) == (0, True), row
    again = auditor.report("deliver")
    assert (again.exit_code, again.stdout) == (0, "")
    assert "nothing is due" in again.stderr
    s3, name = client(), rows["weekly"]["place"].removeprefix(f"s3://{bucket}/")
    s3.put_object(Bucket=bucket, Key=f"{name}/{DOCUMENT}", Body=b"{}")
    assert auditor.report("verify", rows["weekly"]["place"], "--key", key).exit_code == Exit.FINDINGS


def test_a_delivery_that_fails_does_not_stop_the_others(auditor: Auditor, bucket: str, tmp_path: Path) -> None:
    gone = {"kind": "integrity", "s3": {"bucket": f"{bucket}-gone", "lock": "none"}}
    good = {"kind": "integrity", "directory": str(tmp_path / "good")}
    auditor.settled({"reports": {"deliveries": {"a": gone, "b": good}}})
    told = CliRunner().invoke(build("report"), ["--config", str(auditor.file), "report", "deliver", "-o", "json"])
    assert told.exit_code != 0
    assert [row["delivery"] for row in json.loads(told.stdout)] == ["b"]
    assert "a: " in told.stderr
