"""Fixtures of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ingest.transports.aws.faulty import Faulty, faulty
from tests.ingest.transports.aws.kinesalite import kinesalite
from tests.ingest.transports.aws.servers import Aws, aws
from tests.ingest.transports.kinesis.source import Source

__all__ = ["aws"]


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> Aws:
    """A cloud that has only Kinesis; the product finds its credentials as the AWS tools do."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return Aws(kinesalite())


@pytest.fixture
def source(streams: Aws, tmp_path: Path) -> Source:
    """A stream with one shard."""
    return Source.made(streams, tmp_path)


@pytest.fixture
def proxy(source: Source) -> Iterator[Faulty]:
    """A cloud that answers badly lies before the stream."""
    with faulty(source.aws.endpoint) as proxy:
        source.endpoint = proxy.endpoint
        yield proxy
