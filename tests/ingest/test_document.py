"""Completing a document: one parse, no secrets, what only the pipeline knows."""

import datetime as dt
import json
from collections.abc import Iterator

import pytest

from ingest.document import Receipt, complete
from ingest.formats.contract import Format, Reading
from ingest.formats.registry import all_formats, format_named
from ingest.schema.envelope import Position
from ingest.schema.identity import document_id, leaf_hash

NOW = dt.datetime(2026, 11, 22, 8, 0, 1, 999_999, tzinfo=dt.UTC)
RECEIPT = Receipt("tenant", "cluster", dt.datetime(2026, 11, 22, 8, tzinfo=dt.UTC), "request-7", 3)
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzaG9wIn0.c2lnbmF0dXJlLWhlcmU"
SECRET_READ = json.dumps(
    {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "auditID": f"id-{TOKEN}",
        "stage": "ResponseComplete",
        "stageTimestamp": "2026-11-22T07:59:59.000000Z",
        "verb": "get",
        "requestURI": f"/api/v1/namespaces/shop/secrets/key?token={TOKEN}",
        "objectRef": {"resource": "secrets", "namespace": "shop", "name": "key"},
        "responseObject": {"kind": "Secret", "data": {"password": "aHVudGVyMg=="}},
    }
).encode()
CALL = b'{"eventName":"GetObject","eventSource":"s3.amazonaws.com","eventID":"e-1","eventTime":"2026-11-22T07:00:00Z"}'


class Counting(Format):
    """A format that counts how often it reads a record."""

    def __init__(self, inner: Format) -> None:
        self.inner = inner
        self.reads = 0
        self.name, self.dataset, self.version = inner.name, inner.dataset, inner.version
        self.log_source, self.fields, self.aliases = inner.log_source, inner.fields, inner.aliases

    def split(self, body: bytes) -> Iterator[bytes]:
        return self.inner.split(body)

    def recognise(self, sample: bytes) -> bool:
        return self.inner.recognise(sample)

    def read(self, record: bytes) -> Reading:
        self.reads += 1
        return self.inner.read(record)


@pytest.mark.parametrize(("name", "record"), [("aws.cloudtrail", CALL), ("kubernetes.audit", SECRET_READ)])
def test_a_record_is_parsed_once_for_its_document_and_its_view(name: str, record: bytes) -> None:
    format_ = Counting(format_named(name))
    identified = complete(format_, record, RECEIPT, NOW)
    view = identified.reading.view()
    assert format_.reads == 1
    assert view == format_named(name).view(record)
    assert identified.uid == format_named(name).identify(record)


def test_no_secret_of_a_record_reaches_its_document_while_the_leaf_is_of_the_exact_bytes() -> None:
    identified = complete(format_named("kubernetes.audit"), SECRET_READ, RECEIPT, NOW)
    told = json.dumps(identified.document) + identified.uid
    assert TOKEN not in told
    assert "aHVudGVyMg==" not in told
    assert "<redacted>" in identified.document["event"]["original"]
    assert identified.leaf == leaf_hash(SECRET_READ)
    assert identified.document["event"]["hash"] == leaf_hash(SECRET_READ).hex()


def test_the_original_of_a_record_without_secrets_is_its_exact_text() -> None:
    identified = complete(format_named("aws.cloudtrail"), CALL, RECEIPT, NOW)
    assert identified.document["event"]["original"] == CALL.decode()
    assert identified.reading.shown is CALL


def test_a_document_says_where_when_and_as_what_it_came() -> None:
    place = Position("topic", 2, 9, 4)
    receipt = Receipt("tenant", "cluster", RECEIPT.received_at, "request-7", 3, position=place)
    identified = complete(format_named("aws.cloudtrail"), CALL, receipt, NOW)
    document = identified.document
    assert document["event"]["created"] == "2026-11-22T08:00:00.000Z"
    assert document["event"]["ingested"] == "2026-11-22T08:00:01.999Z"
    assert document["data_stream"] == {"type": "logs", "dataset": "aws.cloudtrail", "namespace": "tenant"}
    assert document["log"] == {"file": {"path": "request-7"}, "offset": 3}
    assert document["skytrail"]["kafka"] == {"topic": "topic", "partition": 2, "offset": 9, "index": 4}
    assert identified.id == document_id("aws.cloudtrail", "tenant", "e-1")


def test_documents_of_one_moment_do_not_share_what_may_be_changed() -> None:
    format_ = format_named("aws.cloudtrail")
    first, second = (complete(format_, CALL, RECEIPT, NOW).document for _ in range(2))
    assert first == second
    first["event"]["created"] = "changed"
    first["skytrail"]["integrity"]["leaf_hash"] = "changed"
    assert second["event"]["created"] == "2026-11-22T08:00:00.000Z"
    assert second["skytrail"]["integrity"]["leaf_hash"] == leaf_hash(CALL).hex()


@pytest.mark.parametrize("name", all_formats())
def test_every_format_answers_bytes_through_its_reading(name: str) -> None:
    kind = type(format_named(name))
    for answer in ("identify", "view", "normalise"):
        assert getattr(kind, answer) is getattr(Format, answer)
