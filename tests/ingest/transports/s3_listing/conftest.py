"""Fixtures of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ingest.transports.aws.servers import Aws, aws
from tests.ingest.transports.s3_listing.source import BUCKET, Source

__all__ = ["aws"]


@pytest.fixture
def source(aws: Aws, tmp_path: Path) -> Source:
    """An empty bucket."""
    aws.bucket(BUCKET)
    return Source(aws, tmp_path)
