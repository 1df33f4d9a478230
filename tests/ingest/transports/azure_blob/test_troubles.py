"""What goes wrong between a collector and Blob Storage, and what it makes of it."""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
from collections.abc import Iterator

import pytest

from ingest.schema.errors import SourceRefused, SourceUnavailable, StoreUnavailable
from tests.azurite import Azurite
from tests.ingest.transports.aws.faulty import Fault, Faulty, faulty
from tests.ingest.transports.azure_blob.site import HOUR, NEXT_HOUR, Site, taken, taking

ONE, TWO, THREE = b'{"n": 1}\n', b'{"n": 2}\n', b'{"n": 3}\n'
LIST, GET_HOUR = "comp=list", "h=10"


@pytest.fixture
def proxy(there: Site) -> Iterator[Faulty]:
    """What stands between the collectors and the storage."""
    with faulty(f"http://127.0.0.1:{there.azurite.port}") as found:
        there.azurite = Azurite(int(found.endpoint.rpartition(":")[2]))
        yield found


@pytest.mark.parametrize("asks", [LIST, GET_HOUR])
async def test_throttling_is_told_retried_and_repeats_nothing(there: Site, proxy: Faulty, asks: str) -> None:
    await there.append(ONE)
    await there.append(TWO, NEXT_HOUR)
    async with taking(there) as found:
        proxy.faults.append(Fault(asks, 3, 503, "ServerBusy"))
        for _ in range(2):
            await (await found.next()).acknowledge()
        assert await found.quiet()
    assert found.bodies == [ONE, TWO]
    assert there.warned
    assert all(isinstance(each, SourceUnavailable) for each in there.warned)
    assert "ServerBusy" in there.warned[0].what


async def test_a_key_that_is_refused_for_a_while_is_told_and_nothing_is_left_out(
    there: Site, proxy: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.transports.azure_blob.transport._REFUSED_PAUSE_S", 0.2)
    await there.append(ONE)
    async with taking(there) as found:
        await (await found.next()).acknowledge()
        proxy.faults.append(Fault(LIST, 3, 403, "AuthenticationFailed"))
        await there.append(TWO)
        assert (await found.next()).body == TWO
    (told,) = there.warned
    assert isinstance(told, SourceRefused)
    assert "AuthenticationFailed" in told.what
    assert "role on this container" in told.mend


@pytest.mark.parametrize(
    ("status", "code", "mend"),
    [(403, "AuthorizationPermissionMismatch", "role on this container"), (409, "BlobArchived", "rehydrate")],
)
async def test_a_blob_that_may_not_be_read_is_told_once_and_hides_no_other(
    there: Site, proxy: Faulty, status: int, code: str, mend: str
) -> None:
    await there.append(ONE)
    await there.append(TWO, NEXT_HOUR)
    proxy.faults.append(Fault(GET_HOUR, 1000, status, code))
    async with taking(there) as found:
        assert (await found.next()).body == TWO
        assert await found.quiet()
        (told,) = there.warned
        assert isinstance(told, SourceRefused)
        assert told.where.endswith(HOUR)
        assert mend in told.mend
        proxy.faults.clear()
        await there.append(THREE)
        assert (await found.next()).body == ONE + THREE


async def test_a_blob_that_vanishes_between_listing_and_reading_is_told(there: Site, proxy: Faulty) -> None:
    await there.append(ONE)
    proxy.faults.append(Fault(GET_HOUR, 1, 404, "BlobNotFound"))
    async with taking(there) as found:
        assert (await found.next()).body == ONE
    (told,) = there.warned
    assert f"before its {len(ONE)} bytes were read" in told.what


async def test_a_start_while_the_storage_is_away_waits_for_it(there: Site, proxy: Faulty) -> None:
    await there.append(ONE)
    proxy.faults.append(Fault(LIST, 3, 500, "InternalError"))
    assert await taken(there) == [ONE]
    assert isinstance(there.warned[0], SourceUnavailable)


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_acknowledged_before_a_restart_no_record_is_left_out(there: Site, seed: int) -> None:
    rng = random.Random(seed)
    names = [f"y=2026/h={hour:02}/PT1H.json" for hour in range(4)]
    sent: list[int] = []
    safe: set[int] = set()
    for _ in range(5):
        async with taking(there) as found:
            for _ in range(rng.randrange(1, 6)):
                numbers = list(range(len(sent), len(sent) + rng.randrange(1, 5)))
                sent += numbers
                body = b"".join(b'{"n": %d}\n' % number for number in numbers)
                cut = rng.randrange(len(body))
                name = rng.choice(names)
                await there.append(body[:cut] or b"\n", name)
                await there.append(body[cut:], name)
            while not await found.quiet():
                delivery = await found.next()
                if rng.random() < 0.5:
                    await delivery.acknowledge()
                    safe.update(_numbers(delivery.body))
    for body in await taken(there):
        safe.update(_numbers(body))
    assert safe == set(sent)
    assert there.warned == []


def _numbers(body: bytes) -> list[int]:
    return [json.loads(line)["n"] for line in body.splitlines() if line.strip()]


async def test_a_checkpoint_that_can_not_be_written_is_told_and_stops_nothing(there: Site) -> None:
    file = there.directory / "marks"
    await there.append(ONE)
    async with taking(there, checkpoint_file=file) as found:
        await (await found.next()).acknowledge()
        assert await found.quiet()
        with contextlib.closing(sqlite3.connect(file)) as other:
            other.execute("BEGIN IMMEDIATE")
            for record in (TWO, THREE):
                await there.append(record)
                delivery = await found.next()
                assert delivery.body == record
                await delivery.acknowledge()
            assert await found.quiet()
        assert isinstance(there.warned[0], StoreUnavailable)
        assert "locked" in there.warned[0].what
        await there.append(ONE)
        await (await found.next()).acknowledge()
    assert await taken(there, checkpoint_file=file) == []
