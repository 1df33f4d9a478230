"""Engines and a road of the fault tests' own: they kill, stop and fill them, which nobody else could bear."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from skytrail.local import engines as local
from skytrail.local import ports
from tests.engines import temporary_home
from tests.faults.road import Road
from tests.ingest.transports.aws.servers import aws

__all__ = ["aws"]

TEST_TIMEOUT_S = 900
"""Of one test: each worker that starts anew loads and proves every rule, on processors that engines use as well."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of this folder their time."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(TEST_TIMEOUT_S))


@pytest.fixture(scope="package")
def fault_engines() -> Iterator[local.EngineState]:
    """A Kafka and an Elasticsearch that a test may do anything to; they end with the last test of this folder."""
    with temporary_home() as home:
        yield local.start(
            home,
            cache=local.default_cache(os.environ),
            kafka_port=ports.any_free(),
            elasticsearch_port=ports.any_free(),
        )


@pytest.fixture(scope="package")
def whole_road(fault_engines: local.EngineState, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """The road on these engines; its roles end before the engines do."""
    road = Road(Path(tmp_path_factory.mktemp("road")), fault_engines)
    asyncio.run(road.prepare())
    yield road
    road.abandon()


@pytest.fixture
def road(whole_road: Road) -> Road:
    """The road with both engines and one worker of each role running."""
    local.start(whole_road.state.home, cache=whole_road.state.cache)
    whole_road.start_all()
    return whole_road
