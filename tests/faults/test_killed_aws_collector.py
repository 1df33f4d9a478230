"""`kill -9` of collectors of AWS that need no queue: a listing, which ends by itself, and Firehose, which sends."""

from __future__ import annotations

import pytest

from tests.faults.aws_ways import firehose, s3_listing
from tests.faults.killing import delivers_every_record
from tests.faults.listing import goes_on_and_ends
from tests.faults.road import Road
from tests.ingest.transports.aws.servers import Aws

pytestmark = [pytest.mark.faults, pytest.mark.engines]


async def test_a_killed_listing_goes_on_where_it_was_and_ends_by_itself(road: Road, aws: Aws) -> None:
    async with s3_listing(aws) as way:
        await goes_on_and_ends(road, way)


async def test_what_firehose_sends_arrives_however_often_the_endpoint_dies(road: Road) -> None:
    async with firehose(road.directory) as way:
        await delivers_every_record(road, way)
        assert way.answers[0] > 0
        assert way.answers[429] + way.answers[503] > 0
