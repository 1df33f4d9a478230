"""Archives of ours on Azure and Google Cloud, on Azurite and fake-gcs-server."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.schema.errors import ConfigError
from skytrail.cli.exits import Exit
from storage.archive.opening import open_archive
from storage.settings import ArchiveSettings, CloudArchive
from tests.skytrail.scan.events import call, lines, rules
from tests.skytrail.scan.test_scan_command import found, nowhere, scan
from tests.storage.archive.samples import message, sealer
from tests.storage.verify.test_cloud_places import cloud, google

__all__ = ["cloud", "google", "nowhere"]


def test_an_archive_in_a_cloud_gives_the_hits_of_its_records(cloud: CloudArchive, tmp_path: Path) -> None:
    settings = ArchiveSettings.model_validate({("azure" if "azure" in cloud.address else "gcs"): cloud})
    one = sealer(open_archive(settings, Path()))
    events = [call(n, "StopLogging" if n % 3 == 0 else "GetObject") for n in range(12)]
    one.add(0, message("acme", *[line for line in lines(events).split(b"\n") if line]))
    one.seal()
    result = scan(cloud.opening_address, "--rules", rules(tmp_path / "rules"))
    assert result.exit_code == Exit.OK, result.stderr
    assert [row["record"] for row in found(result)] == [0, 3, 6, 9]
    assert {row["file"] for row in found(result)} == {f"{cloud.address}/acme/skytrail.raw.aws.cloudtrail.v1/0"}


def test_what_is_no_archive_there_is_refused_with_what_to_do(cloud: CloudArchive, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no archive of ours") as refused:
        scan(cloud.opening_address, "--rules", rules(tmp_path / "rules"))
    assert "copy the objects first" in refused.value.mend
