"""What the pages state is true in code: anchors, metrics, examples that can be run or loaded."""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import zstandard

from ingest.schema.envelope import Envelope, Header, Origin, encode
from skytrail.cli.commands.status import as_dict
from skytrail.settings import Settings
from storage.archive.sealer import PartitionSealer
from storage.archive.stores.filesystem import FilesystemStore
from storage.datakeys.keys import DataKeys
from storage.settings import ArchiveSettings
from storage.verify.findings import Kind
from streams.accounting import Account
from streams.status import summarise
from streams.telemetry import Telemetry
from tests.storage.archive.people import ANN, did, of_people
from tests.storage.archive.samples import Clock, seal_in_batches
from tests.storage.datakeys.samples import made_keys

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
NOW = dt.datetime(2026, 11, 22, 8, 0, tzinfo=dt.UTC)


def text_of(name: str) -> str:
    return (ROOT / "docs" / name).read_text("utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Anchors as GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_anchors_lead_to_a_heading(page: Path) -> None:
    found = re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text("utf-8"))
    broken = [
        f"{path}#{anchor}" for path, anchor in found if anchor not in anchors((page.parent / path) if path else page)
    ]
    assert broken == []


def test_anchors_in_error_messages_lead_to_the_runbook() -> None:
    packages = ("ingest", "storage", "streams", "skytrail")
    sources = "\n".join(path.read_text("utf-8") for package in packages for path in (ROOT / package).rglob("*.py"))
    named = set(re.findall(r"docs/runbook\.md#([a-z-]+)", sources))
    assert named
    assert named <= anchors(ROOT / "docs" / "runbook.md")


def test_every_metric_is_in_the_table() -> None:
    page = text_of("operations.md")
    declared = {metric.name for metric in Telemetry().registry.collect()}
    assert sorted(name for name in declared if f"| `{name}` |" not in page) == []
    stated = set(re.findall(r"^\| `(skytrail_\w+)` \| (?:counter|gauge|histogram)", page, re.MULTILINE))
    assert sorted(stated - declared) == []


def test_the_example_of_status_has_the_fields_of_the_real_one() -> None:
    example = json.loads(blocks(text_of("accounting.md"), "json")[0])
    account = Account("seal", "skytrail.raw.aws.cloudtrail.v1", 0, 1, {"prod|aws.cloudtrail|trail": {"received": 1}})
    real = as_dict(summarise([account], {}, ["aws.cloudtrail"], None))
    assert example.keys() == real.keys()
    assert example["sources"][0].keys() == real["sources"][0].keys()
    assert example["totals"].keys() == real["totals"].keys()
    assert example["lag"].keys() == real["lag"].keys()


def test_the_example_of_status_obeys_the_law() -> None:
    (row,) = json.loads(blocks(text_of("accounting.md"), "json")[0])["sources"]
    assert row["received"] == row["indexed"] + row["duplicate"] + row["dead_lettered"] + row["filtered"]
    assert row["received"] == row["sealed"] == row["evaluated"]


@pytest.mark.parametrize("name", ["sources.md", "rules.md"])
def test_settings_in_examples_are_accepted(name: str) -> None:
    found = [Settings(**tomllib.loads(block)) for block in blocks(text_of(name), "toml")]
    assert found


def test_every_kind_of_finding_is_explained() -> None:
    page = text_of("integrity.md")
    assert [kind for kind in Kind if f"| `{kind}` |" not in page] == []


def test_the_checker_for_outsiders_accepts_a_segment_and_sees_a_change(tmp_path: Path) -> None:
    script = tmp_path / "check_segment.py"
    script.write_text(blocks(text_of("integrity.md"), "python")[0])
    folder = sealed(tmp_path / "archive")
    manifest = folder / "000000000000.manifest.json"
    frames = zstandard.ZstdDecompressor().decompress(next(folder.glob("*.ndz")).read_bytes())
    assert checked(script, manifest, frames) == "True True True"
    assert checked(script, manifest, frames[:-1] + b"?") == "True False False"


def test_an_encrypted_segment_opens_by_the_script_of_the_page(tmp_path: Path) -> None:
    script = tmp_path / "open_segment.py"
    script.write_text(next(each for each in blocks(text_of("integrity.md"), "python") if "AESGCM" in each))
    keys = made_keys(tmp_path / "datakeys")
    folder = sealed(tmp_path / "archive", keys)
    (entry,) = keys.entries()
    key = keys.opened("prod", entry.id)
    assert key is not None
    command = [sys.executable, script, folder / "000000000000.manifest.json", key.body.hex()]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    frames = zstandard.ZstdDecompressor().decompress(done.stdout)
    assert frames[4:].startswith(b'{"eventID": "0"}')


def test_what_one_person_did_opens_by_the_scripts_of_the_page(tmp_path: Path) -> None:
    scripts = [each for each in blocks(text_of("integrity.md"), "python") if "AESGCM" in each]
    keys = made_keys(tmp_path / "datakeys", by_subject=True)
    seal_in_batches(FilesystemStore(tmp_path / "archive"), of_people(2), [], Clock(), keys)
    (manifest,) = (tmp_path / "archive").rglob("*.manifest.json")
    (month,) = keys.entries()
    key = keys.opened("acme", month.id)
    (ann,) = keys.of_subject("acme", ANN)
    (entry,) = (tmp_path / "datakeys" / "subjects").rglob(ann)
    assert key is not None
    content = b""
    for script, *more in zip(scripts, ([], [entry]), strict=True):
        command = [sys.executable, "-c", script, manifest, key.body.hex(), *more[0]]
        done = subprocess.run(command, input=content, capture_output=True, check=True, timeout=60)
        content = zstandard.ZstdDecompressor().decompress(done.stdout)
    records = [did("ann", number) for number in (0, 4, 10, 14)]
    assert content == b"".join(len(record).to_bytes(4, "big") + record for record in records)


def test_the_manifest_has_the_fields_of_the_table(tmp_path: Path) -> None:
    manifest = json.loads((sealed(tmp_path) / "000000000000.manifest.json").read_bytes())
    table = text_of("integrity.md").partition("| field of a manifest |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[2:]]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == manifest.keys()


def sealed(root: Path, keys: DataKeys | None = None) -> Path:
    """The folder of a chain of one segment with seven records."""
    topic = "skytrail.raw.aws.cloudtrail.v1"
    sealer = PartitionSealer(FilesystemStore(root), topic, 0, ArchiveSettings(), lambda: NOW, keys=keys)
    header = Header(
        format="aws.cloudtrail",
        namespace="prod",
        collector="trail",
        received_at=NOW,
        origin=Origin(transport="files", locator="a.json"),
    )
    records = tuple(b'{"eventID": "%d"}\n' % number for number in range(7))
    sealer.add(0, encode(Envelope(header=header, records=records)))
    sealer.seal()
    return root / "prod" / "seg" / "skytrail.raw.aws.cloudtrail.v1" / "0"


def checked(script: Path, manifest: Path, frames: bytes) -> str:
    """What the script says."""
    done = subprocess.run([sys.executable, script, manifest], input=frames, capture_output=True, check=True, timeout=60)
    return done.stdout.decode().strip()
