"""The promises of every transport, on moto."""

from __future__ import annotations

import pytest

from tests.ingest.transports.contract import TransportContract
from tests.ingest.transports.s3_listing.source import Source


class TestS3Listing(TransportContract):
    @pytest.fixture
    def harness(self, source: Source) -> Source:
        return source
