"""The promises of every transport, on two servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ingest.transports.aws.servers import Aws
from tests.ingest.transports.contract import TransportContract
from tests.ingest.transports.kinesis.source import Source


class TestKinesisOnKinesalite(TransportContract):
    @pytest.fixture
    def harness(self, source: Source) -> Source:
        source.settings["batch_messages"] = 1
        return source


class TestKinesisOnMoto(TransportContract):
    @pytest.fixture
    def harness(self, aws: Aws, tmp_path: Path) -> Source:
        source = Source.made(aws, tmp_path)
        source.settings["batch_messages"] = 1
        return source
