"""What goes wrong between a collector and Event Hubs, and what it makes of it."""

from __future__ import annotations

import asyncio
import time

import pytest

from ingest.schema.errors import ConfigError, SourceRefused, SourceUnavailable
from tests.azurite import Azurite
from tests.doubles.event_hubs.hub import BUSY, UNAUTHORIZED
from tests.ingest.transports.aws.faulty import Fault, faulty
from tests.ingest.transports.event_hubs.site import Site, until
from tests.ingest.transports.event_hubs.test_event_hubs import reading


async def test_throttling_in_mid_stream_loses_nothing_and_repeats_nothing(there: Site) -> None:
    there.server.hub.faults.detach_after, there.server.hub.faults.detaches = 5, 2
    for number in range(30):
        there.server.hub.put(b"%d" % number)
    async with reading(there) as (_, reader):
        await until(lambda: len(reader.bodies) >= 30, "30 events", 60)
    assert reader.bodies == [b"%d" % number for number in range(30)]


async def test_throttling_that_goes_on_is_told_and_outlived(there: Site) -> None:
    there.server.hub.faults.refuse_attach, there.server.hub.faults.refusals = BUSY, 8
    there.server.hub.put(b"late")
    async with reading(there) as (_, reader):
        await until(lambda: reader.bodies == [b"late"], "the event", 90)
    assert there.warned
    assert all(isinstance(each, SourceUnavailable) for each in there.warned)
    assert "throttled" in str(there.warned[0])
    assert "throughput units" in there.warned[0].mend


async def test_a_connection_that_breaks_is_opened_again(there: Site) -> None:
    async with reading(there) as (_, reader):
        there.server.hub.put(b"before")
        await until(lambda: reader.bodies == [b"before"], "the first event")
        there.server.drop_connections()
        there.server.hub.put(b"after")
        await until(lambda: len(reader.bodies) > 1, "the second event", 60)
    assert reader.bodies == [b"before", b"after"]


async def test_an_event_that_the_hub_gives_twice_is_delivered_once(there: Site) -> None:
    there.server.hub.faults.twice = True
    for number in range(20):
        there.server.hub.put(b"%d" % number)
    async with reading(there) as (_, reader):
        await until(lambda: len(reader.bodies) >= 20, "20 events")
    assert reader.bodies == [b"%d" % number for number in range(20)]


async def test_a_consumer_group_that_does_not_exist_ends_the_collector(there: Site) -> None:
    async with reading(there, consumer_group="misspelt") as (_, reader):
        await until(lambda: reader.ended is not None, "the collector ends", 90)
    assert "ConsumerGroups/misspelt" in str(reader.ended)
    assert isinstance(reader.ended, SourceRefused)
    assert "create the event hub and the consumer group" in reader.ended.mend


async def test_a_hub_that_does_not_exist_is_refused_at_the_start(there: Site) -> None:
    with pytest.raises(SourceRefused, match="Status code: 404"):
        await there.open(event_hub="misspelt")


async def test_a_key_that_is_wrong_is_refused_at_the_start(there: Site) -> None:
    there.server.hub.policies["listen"] = "other"
    with pytest.raises(SourceRefused, match=r"authenticating: .*401") as refused:
        await there.open()
    assert "Azure Event Hubs Data Receiver" in refused.value.mend


async def test_a_key_that_changed_is_read_again_from_its_file(there: Site) -> None:
    async with reading(there) as (_, reader):
        await until(lambda: len(there.server.hub.readers()) == 4, "all partitions are read")
        there.server.hub.policies["listen"] = "other"
        (there.directory / "hub").write_text(there.server.connection_string.replace("c2VjcmV0", "other"))
        there.server.drop_connections()
        there.server.hub.put(b"after")
        await until(lambda: reader.bodies == [b"after"], "an event after the change", 60)


async def test_a_right_that_is_taken_away_ends_the_collector_with_what_to_give(there: Site) -> None:
    async with reading(there) as (_, reader):
        await until(lambda: len(there.server.hub.readers()) == 4, "all partitions are read")
        there.server.hub.faults.refuse_attach, there.server.hub.faults.refusals = UNAUTHORIZED, -1
        there.server.hub.detach_all(UNAUTHORIZED)
        await until(lambda: reader.ended is not None, "the collector ends", 90)
    assert isinstance(reader.ended, SourceRefused)
    assert "Data Receiver" in reader.ended.mend


async def test_a_container_that_does_not_exist_is_refused_at_the_start(there: Site) -> None:
    with pytest.raises(SourceRefused, match="ContainerNotFound") as refused:
        await there.open(checkpoint_container_url=f"{there.azurite.account_url}/misspelt")
    assert refused.value.mend.startswith("create it")


async def test_a_storage_key_that_is_wrong_is_refused_at_the_start(there: Site) -> None:
    file = there.directory / "other"
    file.write_text(there.azurite.connection_string.replace("AccountKey=Eby8", "AccountKey=AAAA"))
    with pytest.raises(SourceRefused, match=r"AuthorizationFailure|AuthenticationFailed") as refused:
        await there.open(checkpoint_connection_string_file=file)
    assert "role on this container" in refused.value.mend


async def test_a_collector_ends_in_bounded_time_though_the_hub_does_not_answer(there: Site) -> None:
    async with reading(there):
        await until(lambda: len(there.server.hub.readers()) == 4, "all partitions are read")
        await there.server.stop()
        began = time.monotonic()
    assert time.monotonic() - began < 25
    await there.server.start()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"fully_qualified_namespace": "other.servicebus.windows.net"}, "of another namespace"),
        ({"checkpoint_container_url": "https://account.blob.core.windows.net"}, "form of one"),
        ({"checkpoint_container_url": "http://account.blob.core.windows.net/c"}, "http beyond loopback"),
        ({"checkpoint_container_url": "https://account.blob.core.windows.net/c"}, "of another account"),
    ],
)
async def test_addresses_that_contradict_each_other_are_refused(there: Site, changes: dict, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        await there.open(**changes)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Endpoint=https://a;SharedAccessKeyName=n;SharedAccessKey=k", "names no namespace"),
        ("Endpoint=sb://a.servicebus.windows.net;UseDevelopmentEmulator=true", "no TLS beyond loopback"),
        ("Endpoint=sb://a.servicebus.windows.net;EntityPath=other", "of another hub"),
        ("no connection string", "this is none"),
    ],
)
async def test_connection_strings_that_are_none_or_of_something_else_are_refused(
    there: Site, text: str, named: str
) -> None:
    file = there.directory / "string"
    file.write_text(text)
    with pytest.raises(ConfigError, match=named):
        await there.open(connection_string_file=file)


async def test_reading_goes_on_while_the_container_is_away_and_checkpoints_follow(there: Site) -> None:
    with faulty(f"http://127.0.0.1:{there.azurite.port}") as proxy:
        direct, there.azurite = there.azurite, Azurite(int(proxy.endpoint.rpartition(":")[2]))
        async with reading(there) as (_, reader):
            there.server.hub.put(b"before")
            await until(lambda: reader.bodies == [b"before"], "the first event")
            proxy.faults.append(Fault("", 1_000_000, 503, "ServerBusy"))
            there.server.hub.put(b"meanwhile")
            await until(lambda: reader.bodies == [b"before", b"meanwhile"], "an event without the container")
            await until(lambda: any("keeping checkpoints" in str(each) for each in there.warned), "it is told")
            await asyncio.sleep(there.settings().ownership_expiry_s)
            there.server.hub.put(b"late")
            await until(lambda: reader.bodies[2:] == [b"late"], "an event after the leases ran out")
            proxy.faults.clear()
            there.azurite = direct
            for _ in range(60):
                await asyncio.sleep(0.2)
                if await there.checkpoints() == {"0": 2}:
                    break
        assert await there.checkpoints() == {"0": 2}
