"""Fixtures of this folder."""

from tests.ingest.transports.aws.servers import aws

__all__ = ["aws"]
