"""The same files again, and the same event ids with other bytes, through the real `skytrail ingest files`."""

from __future__ import annotations

import datetime as dt
import gzip
import random
import subprocess
import sys
from pathlib import Path

import pytest

from skytrail.settings import environment_without_settings
from tests.faults.material import CLOUDTRAIL, cloudtrail, rewritten
from tests.faults.oracle import settled, told_alerts
from tests.faults.road import Road

pytestmark = [pytest.mark.faults, pytest.mark.engines]
NAMESPACE = "again"


def log_file(path: Path, records: list[bytes]) -> Path:
    path.write_bytes(gzip.compress(b'{"Records":[' + b",".join(records) + b"]}", 1))
    return path


def ingest(road: Road, *paths: Path) -> None:
    config = road.config("ingest", {})
    done = subprocess.run(
        [
            *(sys.executable, "-m", "skytrail", "--config", str(config)),
            *("ingest", "files", *map(str, paths), "--format", CLOUDTRAIL, "-n", NAMESPACE),
        ],
        env=environment_without_settings(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


async def test_the_same_files_again_change_no_document_and_are_counted_exactly(road: Road, tmp_path: Path) -> None:
    events = cloudtrail(random.Random(6), 1500, dt.datetime.now(dt.UTC))
    files = [log_file(tmp_path / f"{n}.json.gz", events[n * 500 : n * 500 + 500]) for n in range(3)]
    ingest(road, *files)
    _, first = await settled(road, NAMESPACE)
    assert (first.totals["indexed"], first.totals["duplicate"]) == (1500, 0)
    ingest(road, *files[:2])
    _, second = await settled(road, NAMESPACE)
    assert (second.totals["indexed"], second.totals["duplicate"]) == (1500, 1000)


async def test_an_event_rewritten_under_its_id_is_indexed_beside_and_told(road: Road, tmp_path: Path) -> None:
    events = cloudtrail(random.Random(66), 200, dt.datetime.now(dt.UTC))
    ingest(road, log_file(tmp_path / "first.json.gz", events))
    _, before = await settled(road, NAMESPACE)
    forged = log_file(tmp_path / "forged.json.gz", [*map(rewritten, events[:5]), *events[5:10]])
    ingest(road, forged)
    expected, status = await settled(road, NAMESPACE)
    assert expected.equivocations == 5
    assert status.totals["indexed"] - before.totals["indexed"] == 5
    assert status.equivocations == 5
    told = await told_alerts(road, NAMESPACE)
    assert [counts for (rule, _), counts in told.items() if rule == "skytrail-equivocation"] == [[1]] * 5
    ingest(road, forged)
    _, again = await settled(road, NAMESPACE)
    assert again.totals["duplicate"] - status.totals["duplicate"] == 10
    assert again.equivocations == 5
    assert await told_alerts(road, NAMESPACE) == told
