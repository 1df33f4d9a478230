"""`skytrail demo` as a new user runs it: a process of its own, engines of its own, one JSON object at the end."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from skytrail.data_keys import key_source
from skytrail.demo.day import SEED, Expected, generate
from skytrail.local import engines
from skytrail.settings import Settings
from storage.verify.archive import examine
from storage.verify.findings import Kind, Summary
from storage.verify.places import Directory
from storage.verify.scope import Scope

pytestmark = [pytest.mark.engines, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("demo-state")
    yield directory
    engines.remove(directory / "demo" / "engines")


@pytest.fixture(scope="module")
def result(state_dir: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SKYTRAIL_STATE_DIR": str(state_dir)}
    return subprocess.run(
        [sys.executable, "-m", "skytrail", "demo", "-o", "json"],
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=380,
        check=False,
    )


@pytest.fixture(scope="module")
def shown(result: subprocess.CompletedProcess[str]) -> Any:
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def expected() -> Expected:
    return generate(random.Random(SEED), dt.datetime.now(dt.UTC)).expected


def test_every_generated_record_is_accounted_for(shown: Any, expected: Expected) -> None:
    accounting = shown["accounting"]
    assert accounting["received"] == expected.received
    assert accounting["indexed"] == expected.unique
    assert accounting["duplicate"] == expected.duplicate
    assert accounting["dead_lettered"] == expected.dead_lettered
    assert accounting["sealed"] == expected.received
    assert accounting["filtered"] == 0
    assert accounting["residue"] == 0


def test_the_day_is_large_enough_to_mean_something(expected: Expected) -> None:
    assert expected.benign >= 20_000
    assert len(expected.stories) == 3


def test_each_attack_is_told_and_explained(shown: Any) -> None:
    rules = {alert["rule_id"] for alert in shown["alerts"]}
    assert {"aws-trail-stopped", "kubernetes-privileged-pod", "kubernetes-cluster-admin-bound"} <= rules
    assert all(alert["reason"] and alert["principal"] and alert["count"] >= 1 for alert in shown["alerts"])
    assert {alert["severity"] for alert in shown["alerts"]} <= {"info", "low", "medium", "high", "critical"}


def test_ordinary_work_does_not_flood_the_analyst(shown: Any) -> None:
    assert len(shown["alerts"]) <= 60


def test_the_archive_holds_every_record(shown: Any, state_dir: Path, expected: Expected) -> None:
    assert shown["archive"]["ok"] is True
    summary, place = Summary(), Directory(state_dir / "demo" / "archive")
    keys = key_source(Settings.model_construct(state_dir=state_dir / "demo"))
    assert list(examine(place, Scope(keys=keys), summary)) == []
    # dead letters of the index role are sealed beside the records they repeat
    assert summary.records == shown["archive"]["records"] == expected.received + expected.dead_lettered


def test_the_archive_is_encrypted_and_without_its_keys_only_records_stay_unchecked(shown: Any, state_dir: Path) -> None:
    summary = Summary()
    findings = list(examine(Directory(state_dir / "demo" / "archive"), Scope(), summary))
    assert {finding.kind for finding in findings} == {Kind.UNCHECKED}
    assert (summary.closed, summary.records) == (shown["archive"]["segments"], 0)


def test_the_demo_leaves_no_process_behind(result: subprocess.CompletedProcess[str], state_dir: Path) -> None:
    assert result.returncode == 0
    left = [p.pid for p in psutil.process_iter(["cmdline"]) if str(state_dir) in " ".join(p.info["cmdline"] or [])]
    assert left == []


def test_only_data_is_on_standard_output(result: subprocess.CompletedProcess[str]) -> None:
    json.loads(result.stdout)
    assert "\x1b" not in result.stdout
