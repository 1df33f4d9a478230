"""What paths stand for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ingest.schema.errors import ConfigError
from skytrail.scan.sources import find, is_archive
from tests.storage.archive.samples import Clock, open_store, seal_in_batches, stream


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b/2.json", "b/1.json.gz", "a.ndjson", ".hidden", "b/.git/config"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def test_a_directory_is_walked_in_order_without_hidden_names(tree: Path) -> None:
    assert [source.name for source in find([str(tree)])] == [
        str(tree / name) for name in ("a.ndjson", "b/1.json.gz", "b/2.json")
    ]


def test_a_file_that_two_paths_name_is_read_once(tree: Path) -> None:
    found = find([str(tree / "a.ndjson"), str(tree), f"{tree}/*.ndjson"])
    assert len(found) == 3
    assert found[0].name == str(tree / "a.ndjson")


def test_a_pattern_reaches_into_directories(tree: Path) -> None:
    assert [source.path.name for source in find([f"{tree}/**/*.gz"])] == ["1.json.gz"]


def test_a_hidden_file_is_read_when_it_is_named(tree: Path) -> None:
    assert [source.path.name for source in find([str(tree / ".hidden")])] == [".hidden"]


@pytest.mark.parametrize("path", ["nowhere", "nowhere/*.json"])
def test_what_does_not_exist_is_refused(tree: Path, path: str) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        find([str(tree), str(tree / path)])


def test_a_bucket_elsewhere_than_on_s3_is_refused_with_what_to_do() -> None:
    with pytest.raises(ConfigError) as refused:
        find(["abfs://bucket/logs/"])
    assert "copy the objects first" in refused.value.mend


def test_a_link_to_a_directory_above_is_no_endless_walk(tree: Path) -> None:
    (tree / "b" / "loop").symlink_to(tree)
    assert len(find([str(tree)])) == 3


def test_an_archive_is_recognised_by_its_layout_anywhere_in_a_tree(tree: Path) -> None:
    seal_in_batches(open_store(tree / "c"), stream(6), [2], Clock())
    assert is_archive(tree / "c")
    assert not is_archive(tree / "b")
    assert [source.kind for source in find([str(tree)])] == ["file", "file", "file", "archive"]


def test_a_dead_link_and_a_pipe_in_a_directory_are_told_and_not_opened(tree: Path) -> None:
    (tree / "b" / "dead.json").symlink_to(tree / "gone.json")
    (tree / "b" / "circle.json").symlink_to(tree / "b" / "circle.json")
    os.mkfifo(tree / "b" / "pipe.json")
    for given in (str(tree / "b"), f"{tree}/b/*"):
        faults = {source.path.name: source.fault for source in find([given])}
        assert faults == {
            "1.json.gz": "",
            "2.json": "",
            "circle.json": "looking for input: the link leads nowhere",
            "dead.json": "looking for input: the link leads nowhere",
            "pipe.json": "looking for input: it is a pipe, a socket or a device",
        }


def test_a_pipe_that_is_named_itself_is_read(tree: Path) -> None:
    os.mkfifo(tree / "pipe")
    assert [source.fault for source in find([str(tree / "pipe")])] == [""]


def test_a_file_is_read_once_by_whatever_names_it_is_reached(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    (tree / "b" / "latest.json").symlink_to(tree / "b" / "2.json")
    assert [source.name for source in find(["b", str(tree / "b"), "./b/2.json"])] == ["b/1.json.gz", "b/2.json"]
