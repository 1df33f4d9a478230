"""`kill -9` of a collector of Google Cloud while its services fail, repeat themselves and cut connections.

The collector of Pub/Sub is offboarded at the end: what is then stated must be what there is.
"""

from __future__ import annotations

import pytest

from tests.faults.google_ways import gcs_listing, gcs_pubsub, pubsub
from tests.faults.killing import delivers_every_record
from tests.faults.listing import goes_on_and_ends
from tests.faults.road import Road

pytestmark = [pytest.mark.faults, pytest.mark.engines]


async def test_messages_of_a_subscription_arrive_and_what_is_stated_at_the_end_is_true(road: Road) -> None:
    async with pubsub() as way:
        await delivers_every_record(road, way, offboard=True)


async def test_announced_objects_arrive(road: Road) -> None:
    async with gcs_pubsub() as way:
        await delivers_every_record(road, way)


async def test_a_killed_listing_goes_on_where_it_was_and_ends_by_itself(road: Road) -> None:
    async with gcs_listing() as way:
        await goes_on_and_ends(road, way)
