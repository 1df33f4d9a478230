"""Objects of S3 as input, on a moto server."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from typer.testing import CliRunner

from ingest.schema.errors import ConfigError
from skytrail.cli.exits import Exit
from skytrail.cli.main import build
from skytrail.scan import objects
from storage.archive.opening import archive_at
from storage.verify.archive import examine
from storage.verify.places import place_at
from storage.verify.scope import Scope
from tests.skytrail.scan.events import call
from tests.storage.archive.samples import TOPIC, message, sealer

RUNNER = CliRunner()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket on a server of its own; the product finds both as the AWS tools do."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    objects._client.cache_clear()
    client = boto3.client("s3")
    client.create_bucket(Bucket="trail")
    yield client
    objects._client.cache_clear()
    server.stop()


def put(client: Any, key: str, events: list[dict[str, Any]], *, damaged: bool = False) -> None:
    body = gzip.compress(json.dumps({"Records": events}).encode())
    client.put_object(Bucket="trail", Key=key, Body=body[:-9] if damaged else body)


def scan(*arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    result = RUNNER.invoke(build("scan"), ["scan", *arguments, "-o", "jsonl"], catch_exceptions=False)
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()], result.stderr


def test_every_object_below_a_prefix_is_scanned_and_named(bucket: Any) -> None:
    put(bucket, "AWSLogs/1/a.json.gz", [call(1, "ListUsers"), call(2, "StopLogging")])
    put(bucket, "AWSLogs/1/b.json.gz", [call(3, "StopLogging")])
    put(bucket, "AWSLogs/2/c.json.gz", [call(4, "StopLogging")])
    code, hits, _ = scan("s3://trail/AWSLogs/1/")
    stopped = [(hit["file"], hit["record"]) for hit in hits if hit["rule_id"] == "aws-trail-stopped"]
    assert code == Exit.OK
    assert stopped == [("s3://trail/AWSLogs/1/a.json.gz", 1), ("s3://trail/AWSLogs/1/b.json.gz", 0)]


def test_a_damaged_object_is_named_and_the_scan_incomplete(bucket: Any) -> None:
    put(bucket, "a.json.gz", [call(1, "StopLogging")])
    put(bucket, "b.json.gz", [call(2, "StopLogging")], damaged=True)
    code, hits, told = scan("s3://trail/")
    assert code == Exit.INCOMPLETE
    assert "s3://trail/b.json.gz" in told
    assert {hit["file"] for hit in hits} >= {"s3://trail/a.json.gz"}


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_many_objects_are_told_in_their_order_with_a_damaged_and_an_empty_one_among_them(
    bucket: Any, jobs: str
) -> None:
    for number in range(30):
        put(bucket, f"many/{number:02d}.json.gz", [call(number, "StopLogging")], damaged=number == 11)
    bucket.put_object(Bucket="trail", Key="many/00-empty.json", Body=b"")
    code, hits, told = scan("s3://trail/many/", "--jobs", jobs)
    files = [hit["file"] for hit in hits if hit["rule_id"] == "aws-trail-stopped"]
    assert code == Exit.INCOMPLETE
    assert "s3://trail/many/11.json.gz" in told
    assert [file for file in files if "/11." not in file] == [
        f"s3://trail/many/{number:02d}.json.gz" for number in range(30) if number != 11
    ]


@pytest.mark.usefixtures("bucket")
def test_an_address_that_stands_for_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="there is none"):
        scan("s3://trail/nothing/")
    with pytest.raises(ConfigError, match="NoSuchBucket"):
        scan("s3://another/")


def test_an_archive_in_a_bucket_is_verified_and_scanned_as_one_in_a_directory(bucket: Any) -> None:
    bucket.put_object(Bucket="trail", Key="notes.txt", Body=b"not of the archive")
    one = sealer(archive_at("s3://trail/sealed/here"))
    one.add(0, message("acme", *(json.dumps(call(n, "StopLogging")).encode() for n in range(3))))
    one.seal()
    assert list(examine(place_at("s3://trail/sealed/here"), Scope())) == []
    code, hits, _ = scan("s3://trail/sealed/here")
    stopped = [(hit["file"], hit["record"]) for hit in hits if hit["rule_id"] == "aws-trail-stopped"]
    assert code == Exit.OK
    assert stopped == [(f"s3://trail/sealed/here/acme/{TOPIC}/0", number) for number in range(3)]


def test_what_is_no_address_of_an_archive_is_refused() -> None:
    for address in ("abfs://bucket/x", "s3://Not_A_Bucket/x"):
        with pytest.raises(ConfigError, match="opening archive"):
            archive_at(address)
