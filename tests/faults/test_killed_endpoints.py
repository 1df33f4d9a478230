"""`kill -9` of collectors that are endpoints, while senders cut connections, lose answers and repeat themselves."""

from __future__ import annotations

import pytest

from tests.faults.away import delivers_what_it_took_without_brokers, states_what_it_took_without_brokers
from tests.faults.endpoint_ways import kubernetes_webhook, signed_webhook
from tests.faults.killing import delivers_every_record
from tests.faults.road import Road

pytestmark = [pytest.mark.faults, pytest.mark.engines]


async def test_what_is_signed_anew_after_each_death_is_accepted_and_arrives(road: Road) -> None:
    async with signed_webhook(road.directory) as way:
        await delivers_every_record(road, way)
    assert way.answers[0] > 0
    assert way.answers[429] + way.answers[503] > 0
    assert {status for status in way.answers if 400 <= status < 429} == set()


async def test_batches_of_an_api_server_arrive_however_often_the_endpoint_dies(road: Road) -> None:
    async with kubernetes_webhook(road.directory) as way:
        await delivers_every_record(road, way, offboard=True, spools=True)
    assert way.answers[0] > 0
    assert {status for status in way.answers if 400 <= status < 429} == set()


async def test_what_an_endpoint_answered_200_without_brokers_survives_its_death(road: Road) -> None:
    async with kubernetes_webhook(road.directory) as way:
        await delivers_what_it_took_without_brokers(road, way, taken=way.left)


async def test_a_source_that_is_ended_after_its_endpoint_died_states_what_was_answered_200(road: Road) -> None:
    async with kubernetes_webhook(road.directory) as way:
        await states_what_it_took_without_brokers(road, way, taken=way.left)
