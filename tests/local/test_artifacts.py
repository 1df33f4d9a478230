"""What comes over the network is what we pinned, or it is refused."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.resources import files
from pathlib import Path

import pytest

from ingest.schema.errors import EngineError
from skytrail.local import artifacts
from skytrail.local.artifacts import Artifact, Fetcher, cached_path, pinned, sha256_of
from skytrail.local.lock import render

BODIES = {"a.group:one:1.0": b"first file", "a.group:two:2.0:zip": b"second file"}
Count = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


class Repository:
    """Serves `BODIES`; alters, loses or breaks what it is told to."""

    def __init__(self, *, altered: str = "", lost: frozenset[str] = frozenset(), flaky: int = 0) -> None:
        self.altered, self.lost, self.flaky = altered, lost, flaky
        self.asked: list[str] = []

    def download(self, coordinate: str, staging: Path, count: Count) -> Path:
        self.asked.append(coordinate)
        if coordinate in self.lost or self.asked.count(coordinate) <= self.flaky:
            raise ConnectionError("no route")
        body = BODIES[coordinate] + (b"!" if coordinate == self.altered else b"")
        staging.mkdir()
        path = staging / "download"
        path.write_bytes(body)
        with count(path.name, len(body)) as advance:
            advance(len(body))
        return path


def pins() -> list[Artifact]:
    return [Artifact(name, len(body), hashlib.sha256(body).hexdigest()) for name, body in BODIES.items()]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path


def fetch(repository: Repository, cache: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    told: list[tuple[str, int, int]] = []
    monkeypatch.setattr(artifacts, "download", repository.download)
    Fetcher(cache, lambda *step: told.append(step)).fetch("downloading", pins())
    return told


def test_files_with_the_pinned_checksum_are_cached_and_never_asked_for_again(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = Repository()
    told = fetch(repository, cache, monkeypatch)
    assert [cached_path(pin, cache).read_bytes() for pin in pins()] == list(BODIES.values())
    assert told[0] == ("downloading", 0, 21)
    assert told[-1] == ("downloading", 21, 21)
    assert fetch(repository, cache, monkeypatch) == []
    assert sorted(repository.asked) == sorted(BODIES)


def test_an_altered_file_is_refused_by_name_and_not_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match=r"refusing a\.group:two:2\.0:zip: its SHA-256 is") as refusal:
        fetch(Repository(altered="a.group:two:2.0:zip"), cache, monkeypatch)
    assert "do not run it" in refusal.value.mend
    assert not cached_path(pins()[1], cache).exists()
    assert not list(cache.glob("staging-*"))


def test_every_missing_file_is_named_when_the_network_is_away(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="the cache lacks") as refusal:
        fetch(Repository(lost=frozenset(BODIES)), cache, monkeypatch)
    assert all(name in str(refusal.value) for name in BODIES)
    assert "--docker" in refusal.value.mend


def test_a_failed_download_is_tried_again_from_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch(Repository(flaky=2), cache, monkeypatch)
    assert all(sha256_of(cached_path(pin, cache)) == pin.sha256 for pin in pins())


def test_the_resolver_reports_a_closed_network_as_an_engine_error(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    with pytest.raises(EngineError, match=r"a\.group:one:1\.0"):
        Fetcher(cache, lambda *_: None).fetch("downloading", pins())


def test_the_lock_file_pins_every_distribution_and_names_no_host() -> None:
    text = files("skytrail.local").joinpath(artifacts.LOCK_FILE).read_text(encoding="utf-8")
    assert "://" not in text
    assert {"kafka-4.1.1", "elasticsearch-8.19.8", "elasticsearch-9.1.0"} <= set(tomllib.loads(text))
    for distribution in tomllib.loads(text):
        files_of_it = pinned(distribution)
        assert len({pin.filename for pin in files_of_it}) == len(files_of_it) > 0
        assert all(len(pin.sha256) == 64 and pin.size > 0 for pin in files_of_it)


def test_the_lock_is_written_as_it_is_read() -> None:
    rows = tomllib.loads(render({"thing-1.0": pins()}))["thing-1.0"]["artifact"]
    assert [Artifact(**row) for row in rows] == pins()


def test_an_unpinned_version_is_refused_with_those_that_are_pinned() -> None:
    with pytest.raises(EngineError) as refusal:
        pinned("elasticsearch-7.0.0")
    assert "elasticsearch-8.19.8" in refusal.value.mend
