"""The measurement of transports: pairs, what is skipped, and that both contenders take all that was put."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from ingest.schema.errors import ConfigError, EngineError
from ingest.transports.contract import Place, Transport
from ingest.transports.registry import all_transports
from skytrail.bench import collecting
from skytrail.bench.collecting import Load, Row, measure, ways
from skytrail.bench.posted import SECRET
from skytrail.bench.posting import signed
from skytrail.bench.samples import SEED, everyday
from skytrail.bench.ways_in import firehose, kubernetes_webhook, signed_webhook
from skytrail.bench.ways_in.files import Directory
from skytrail.bench.ways_in.files import opened as files
from tests.ingest.transports.google_cloud.servers import built_fake_gcs

RECORDS = 200
ENDPOINTS = ("firehose", "kubernetes_webhook", "signed_webhook", "syslog")


def load() -> Load:
    end = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
    return Load([one + b"\n" for one in everyday("aws.cloudtrail", RECORDS, seed=SEED, end=end)], 50, None)


async def measured(name: str, rounds: int = 1) -> Row:
    (row,) = await measure([name], load(), rounds, lambda _name, _done, _all: None)
    return row


def test_every_transport_can_be_measured() -> None:
    assert set(ways()) == set(all_transports())


@pytest.fixture
def cloud_servers(azurite_program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers of Azure and Google that the tests have, where an operator would have installed them."""
    (tmp_path / "azurite-blob").symlink_to(azurite_program)
    (tmp_path / "fake-gcs-server").symlink_to(built_fake_gcs())
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)


@pytest.mark.parametrize("name", ["files", *ENDPOINTS, "pubsub", "s3_listing", "s3_sqs", "kinesis"])
async def test_transport_and_sdk_take_the_same_and_both_have_a_cost(name: str) -> None:
    row = await measured(name)
    assert (row.transport, row.records, row.skipped) == (name, RECORDS, "")
    assert row.us_per_record > 0
    assert row.sdk_us_per_record > 0
    assert row.times_sdk > 0


@pytest.mark.usefixtures("cloud_servers")
@pytest.mark.parametrize("name", ["azure_blob", "event_hubs", "gcs_listing", "gcs_pubsub"])
async def test_the_transports_of_azure_and_google_are_measured_beside_their_sdks(name: str) -> None:
    row = await measured(name)
    assert (row.transport, row.records, row.skipped) == (name, RECORDS, "")
    assert min(row.us_per_record, row.sdk_us_per_record, row.times_sdk) > 0


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("kafka", "skytrail up"),
        ("azure_blob", "npm install"),
        ("event_hubs", "npm install"),
        ("gcs_listing", "go install"),
        ("gcs_pubsub", "go install"),
    ],
)
async def test_what_is_not_at_hand_is_skipped_by_name(
    name: str, mend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    row = await measured(name)
    assert row.records == 0
    assert mend in row.skipped


async def test_an_unknown_transport_is_refused_with_those_that_can_be_measured() -> None:
    with pytest.raises(ConfigError, match="shell can't be measured") as told:
        await measured("shell")
    assert "s3_sqs" in told.value.mend


class Counting:
    """A source that notes who took it, and takes some bytes less when told so."""

    sdk = "none"

    def __init__(self, directory: Directory, lost: int) -> None:
        self._directory = directory
        self._lost = lost
        self.size = directory.size
        self.runs: list[str] = []

    async def fill(self) -> None:
        self.runs.append("fill")

    async def open(self, place: Place) -> Transport:
        self.runs.append("transport")
        return await self._directory.open(place)

    async def alone(self) -> int:
        self.runs.append("alone")
        return await self._directory.alone() - self._lost


class Way:
    def __init__(self, lost: int = 0) -> None:
        self.lost = lost
        self.source: Counting

    @contextlib.asynccontextmanager
    async def opened(self, load: Load) -> AsyncIterator[Counting]:
        async with files(load) as directory:
            self.source = Counting(directory, self.lost)
            yield self.source


async def test_contenders_take_turns_and_the_source_is_filled_before_each(monkeypatch: pytest.MonkeyPatch) -> None:
    way = Way()
    monkeypatch.setattr(collecting, "ways", lambda: {"counting": way})
    await measured("counting", rounds=2)
    turns = [run for run in way.source.runs if run != "fill"]
    assert turns == ["alone", "transport", "transport", "alone", "alone", "transport"]
    assert way.source.runs[::2] == ["fill"] * 6


async def test_a_contender_that_took_less_is_an_error_and_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "ways", lambda: {"counting": Way(lost=1)})
    with pytest.raises(EngineError, match="alone took"):
        await measured("counting")


class Request:
    """What a bare server looks at."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.headers = headers


@pytest.mark.parametrize(
    ("bare", "headers", "status"),
    [
        (kubernetes_webhook._bare, {"Authorization": "Bearer another-token-than-ours"}, 401),
        (firehose._bare, {"X-Amz-Firehose-Access-Key": "another-key-than-ours"}, 401),
        (signed_webhook._bare, signed("another-secret-than-ours", b"{}"), 403),
        (signed_webhook._bare, signed(SECRET, b"{}") | {"X-Timestamp": "1700000000"}, 403),
    ],
)
def test_the_bare_servers_refuse_whoever_the_transports_refuse(
    bare: Callable[[Any, bytes], tuple[int, web.Response]], headers: dict[str, str], status: int
) -> None:
    brought, answer = bare(Request(headers), b"{}")
    assert (brought, answer.status) == (0, status)
