"""A directory and a bucket with the same objects answer the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from storage.verify import bucket, places
from storage.verify.archive import examine
from storage.verify.bucket import Bucket
from storage.verify.places import Directory, Place, place_at
from storage.verify.scope import Scope

OBJECTS = {"a/one": b"1", "a/b/two": b"22", "c": b"\x00" * 3_000_000}


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        bucket._client.cache_clear()
        client = boto3.client("s3")
        client.create_bucket(Bucket="copies")
        yield client
    bucket._client.cache_clear()


@pytest.fixture(params=["directory", "bucket", "prefix"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "directory":
        for key, body in OBJECTS.items():
            (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / key).write_bytes(body)
        return place_at(f"file://{tmp_path}")
    client = request.getfixturevalue("s3")
    start = "down/there/" if request.param == "prefix" else ""
    for key, body in OBJECTS.items():
        client.put_object(Bucket="copies", Key=start + key, Body=body, Metadata={"Signature": "ab"})
    return place_at(f"s3://copies/{start}")


def test_every_place_gives_bytes_and_names(place: Place) -> None:
    assert place.read("a/one") == b"1"
    assert place.read("a/none") is None
    assert place.read("none/at/all") is None
    assert b"".join(place.chunks("c")) == OBJECTS["c"]
    assert place.names("") == ["a/", "c"]
    assert place.names("a") == place.names("a/") == ["b/", "one"]
    assert list(place.walk("")) == ["a/b/two", "a/one", "c"]
    assert list(place.walk("a/b")) == ["a/b/two"]
    assert list(place.walk("none")) == []


def test_names_behind_another_are_as_many_as_asked_for(place: Place) -> None:
    assert place.names_behind("", "", 9) == ["a/", "c"]
    assert place.names_behind("", "a", 1) == place.names_behind("", "Z", 1) == ["a/"]
    assert place.names_behind("a", "b/", 9) == place.names_behind("a/", "c", 9) == ["one"]
    assert place.names_behind("a", "one", 9) == place.names_behind("none", "", 9) == []


def test_a_listing_of_a_bucket_that_starts_in_the_middle_is_short(s3: Any) -> None:
    """Of 2,500 folders those behind one are asked for, and one page of them is read."""
    for number in range(2500):
        s3.put_object(Bucket="copies", Key=f"many/{number:05d}/x", Body=b"")
    place, pages = Bucket("copies"), []
    bucket._client().meta.events.register("before-call.s3.ListObjectsV2", lambda **_: pages.append(1))
    assert place.names_behind("many", "01200", 60) == [f"{number:05d}/" for number in range(1200, 1260)]
    assert len(pages) == 1
    assert len(place.names("many")) == 2500
    assert len(pages) == 4


def test_of_an_object_beyond_all_bounds_the_beginning_is_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MOST_BYTES", 1000)
    assert place.read("c") == OBJECTS["c"][:1000]
    assert place.read("a/b/two") == OBJECTS["a/b/two"]


def test_only_a_bucket_keeps_metadata(place: Place) -> None:
    assert dict(place.metadata("c")) == ({} if isinstance(place, Directory) else {"signature": "ab"})


def test_what_a_place_can_not_read_is_an_error_of_reading(place: Place, tmp_path: Path, s3: object) -> None:
    assert s3
    for broken in (Bucket("no-such-bucket"), Directory(tmp_path / "no-such-directory")):
        with pytest.raises(OSError, match=r"no-such|NoSuchBucket|does not exist"):
            broken.names("")
        with pytest.raises(OSError, match=r"no-such|NoSuchBucket|does not exist"):
            list(broken.chunks("a"))
    assert isinstance(place.names(""), list)


def test_an_archive_in_a_bucket_is_checked_like_one_in_a_directory(clean: Path, s3: object) -> None:
    for path in clean.rglob("*"):
        if path.is_file():
            key = f"archive/{path.relative_to(clean).as_posix()}"
            s3.put_object(Bucket="copies", Key=key, Body=path.read_bytes())  # type: ignore[attr-defined]
    assert list(examine(Bucket("copies", "archive"), Scope())) == []
    victim = next(clean.rglob("*.ndz")).relative_to(clean).as_posix()
    s3.put_object(Bucket="copies", Key=f"archive/{victim}", Body=b"x")  # type: ignore[attr-defined]
    assert {finding.key for finding in examine(Bucket("copies", "archive"), Scope())} >= {victim}


@pytest.mark.parametrize("url", ["http://bucket/x", "s3:///x", "file://host/x", "gs:///x", "azure://account"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is no path"):
        place_at(url)
