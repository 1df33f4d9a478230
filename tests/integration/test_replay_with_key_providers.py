"""An archive under each key provider is replayed into a real Elasticsearch, also when its wrapping key changed."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from elasticsearch import Elasticsearch
from typer.testing import CliRunner

from ingest.schema.envelope import Envelope, encode
from skytrail.cli.main import build
from skytrail.data_keys import data_keys
from skytrail.settings import load
from storage.archive.sealer import PartitionSealer
from storage.index.client import connect
from storage.index.install import ensure_templates
from storage.settings import ArchiveSettings, ElasticsearchSettings, Login
from streams.topics import raw_topic
from tests.faults.material import CLOUDTRAIL, cloudtrail, header
from tests.integration.test_verify_index import RECEIVED
from tests.skytrail.cli.test_keys_data_providers import OPENED, Keys
from tests.storage.archive.samples import Clock, open_store

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300)]
RECORDS = 30


class Place:
    """An encrypted archive of a namespace that nobody has indexed yet."""

    def __init__(self, root: Path, elasticsearch: ElasticsearchSettings) -> None:
        self.root = root
        self.namespace = f"k{uuid.uuid4().hex[:10]}"
        self.file = root / "skytrail.toml"
        self._logins = {
            f"SKYTRAIL_ELASTICSEARCH__{name.upper()}__{field}": value
            for name in ("indexer", "reader")
            for field, value in (
                ("USERNAME", getattr(elasticsearch, name).username),
                ("PASSWORD", getattr(elasticsearch, name).password.get_secret_value()),
            )
        }
        self._logins["SKYTRAIL_ELASTICSEARCH__URL"] = elasticsearch.url

    def set(self, encryption: dict[str, Any]) -> None:
        told = {"directory": str(self.root / "archive"), "encryption": encryption}
        self.file.write_bytes(msgspec.toml.encode({"state_dir": str(self.root / "state"), "archive": told}))

    def seal(self) -> None:
        of = msgspec.structs.replace(header(self.namespace, CLOUDTRAIL), received_at=RECEIVED)
        records = tuple(cloudtrail(random.Random(5), RECORDS, RECEIVED))
        keys = data_keys(load(self.file))
        store = open_store(self.root / "archive")
        one = PartitionSealer(store, raw_topic(CLOUDTRAIL), 0, ArchiveSettings(), Clock(RECEIVED), keys=keys)
        one.restore()
        one.add(0, encode(Envelope(header=of, records=records)))
        one.seal()

    def replayed(self, *arguments: str) -> dict[str, int]:
        words = ["--config", str(self.file), "replay", "index", "--namespace", self.namespace, "-o", "json", *arguments]
        result = CliRunner().invoke(build("replay"), words, env=self._logins, catch_exceptions=False)
        return dict(json.loads(result.stdout)["compared"])


@pytest_asyncio.fixture
async def made(engines, tmp_path: Path) -> AsyncIterator[Place]:
    users = engines.elasticsearch_users
    logins = {name: Login(username=name, password=users[name]) for name in ("bootstrap", "indexer", "reader")}
    settings = ElasticsearchSettings(url=engines.elasticsearch_url, **logins)
    bootstrap = connect(settings, "bootstrap")
    await ensure_templates(bootstrap, settings)
    await bootstrap.close()
    place = Place(tmp_path, settings)
    try:
        yield place
    finally:
        with Elasticsearch(engines.elasticsearch_url, basic_auth=("admin", users["admin"])) as admin:
            for name in list(admin.indices.get(index=f"logs-*-{place.namespace}-*").body):
                admin.indices.delete(index=name)


@pytest.fixture
def place(made: Place) -> Place:
    """The same, for tests that are no coroutines: a replay runs a loop of its own."""
    return made


@pytest.mark.parametrize("provider", sorted(OPENED))
def test_it_is_replayed_whole_and_again_after_a_rotation(
    place: Place, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.root.joinpath("state").mkdir()
    with OPENED[provider](place.root / "state", monkeypatch) as keys:
        assert isinstance(keys, Keys)
        place.set(keys.settings())
        place.seal()
        assert (place.replayed("--dry-run")["new"], place.replayed()["new"]) == (RECORDS, RECORDS)
        keys.rotate()
        place.set(keys.settings())
        rotated = CliRunner().invoke(
            build("keys"), ["--config", str(place.file), "keys", "data", "rotate"], catch_exceptions=False
        )
        assert "Wrapped 1 of 1" in rotated.stderr
        told = place.replayed("--dry-run")
        assert (told["new"], told["same"]) == (0, RECORDS)
