"""The source is told to forget a body only when every byte of it is safe."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.backoff import Backoff
from ingest.collector import Collector, Counts, Identity, Limits
from ingest.formats.aws_vpcflow.format import FORMAT as VPCFLOW
from ingest.formats.contract import Format
from ingest.schema.envelope import MAX_RECORD_BYTES
from ingest.schema.errors import SourceRefused, StoreUnavailable, TransientError
from ingest.transports.contract import Transport
from tests.ingest.fakes import EAGER, NOW, Fault, LineFormat, MemoryPublisher, MemoryTransport, until

BODIES = [b"a\nb\n", b"", b"c\n\n d\n"]


class Objects:
    """An archive for what is too large for Kafka; `faults` is how often it is away first."""

    def __init__(self, faults: int = 0) -> None:
        self.kept: dict[str, bytes] = {}
        self.faults = faults

    def __call__(self, namespace: str, body: bytes) -> str:
        if self.faults:
            self.faults -= 1
            raise StoreUnavailable("archiving object: injected fault")
        key = f"{namespace}/{hashlib.sha256(body).hexdigest()}"
        self.kept[key] = body
        return key


def collector(
    transport: Transport,
    publisher: MemoryPublisher,
    *,
    objects: Objects | None = None,
    limits: Limits | None = None,
    backoff: Backoff = EAGER,
    format_: Format | None = None,
) -> Collector:
    return Collector(
        Identity("mine", "acme", format_ or LineFormat()),
        transport,
        publisher,
        put_object=objects or Objects(),
        clock=lambda: NOW,
        limits=limits,
        backoff=backoff,
    )


async def test_every_record_is_published_and_every_body_acknowledged() -> None:
    transport, publisher = MemoryTransport(*BODIES), MemoryPublisher()
    counts = await collector(transport, publisher).run()
    assert sorted(publisher.records) == [b" d", b"a", b"b", b"c"]
    assert [each.settled for each in transport.given] == [["acknowledged"]] * 3
    assert counts == Counts(bodies=3, bytes=sum(map(len, BODIES)), received=4, published=4, dead_lettered=0)
    assert transport.closed


async def test_an_envelope_says_where_its_records_came_from() -> None:
    publisher = MemoryPublisher()
    await collector(MemoryTransport(gzip.compress(b"a\nb\n")), publisher).run()
    header = publisher.envelopes[0].header
    assert (header.format, header.namespace, header.collector) == ("test.lines", "acme", "mine")
    assert header.origin.locator == "body-0"
    assert header.origin.sha256 == hashlib.sha256(b"a\nb\n").hexdigest()


@pytest.mark.parametrize("faults", [["lost"], ["applied"], ["slow"], ["lost", "applied", "lost"]])
async def test_a_broken_publish_is_repeated_and_acknowledged_only_afterwards(faults: list[Fault]) -> None:
    transport, publisher = MemoryTransport(b"a\n"), MemoryPublisher(faults)
    await collector(transport, publisher).run()
    assert set(publisher.records) == {b"a"}
    assert transport.given[0].settled == ["acknowledged"]


async def test_while_brokers_are_away_nothing_is_acknowledged_and_reading_stops() -> None:
    transport = MemoryTransport(*[b"x\n"] * 50)
    publisher = MemoryPublisher()
    publisher.away = True
    alarms: list[TransientError] = []
    backoff = Backoff(0.001, 0.005, 0.02, lambda error, _seconds: alarms.append(error))
    running = collector(transport, publisher, limits=Limits(max_in_flight=3), backoff=backoff)
    task = asyncio.create_task(running.run())
    await until(lambda: alarms)
    assert transport.pulled == 4  # three in flight and the next one, unpacked
    assert not any(each.settled for each in transport.given)
    publisher.away = False
    counts = await task
    assert counts.published == len(publisher.records) == 50


async def test_a_broken_body_gives_its_records_before_the_fault_and_becomes_one_dead_letter_whole() -> None:
    body = b"a\nb\n!\nc\n"
    transport, publisher = MemoryTransport(body, b"d\n"), MemoryPublisher()
    counts = await collector(transport, publisher).run()
    assert sorted(publisher.records) == [b"a", b"b", b"d"]
    letter = publisher.letters[0]
    assert (letter.stage, letter.reason, letter.body, letter.size, letter.records) == (
        "collect",
        "MalformedBody",
        body,
        len(body),
        1,
    )
    assert letter.header is not None
    assert letter.header.origin.first_ordinal == 2
    assert (counts.received, counts.published, counts.dead_lettered) == (4, 3, 1)
    assert transport.given[0].settled == ["acknowledged"]


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b"a\n" * 50)[:-9],
        gzip.compress(b"a\n") + gzip.compress(b"hidden\n"),
        gzip.compress(b"\x00" * 5_000_000),
        b"x" * 2_000_000,
    ],
    ids=["truncated", "doubled", "bomb", "too large"],
)
async def test_a_body_that_cannot_be_inflated_is_kept_as_received(body: bytes) -> None:
    publisher = MemoryPublisher()
    limits = Limits(max_inflated_bytes=1_000_000)
    counts = await collector(MemoryTransport(body, b"ok\n"), publisher, limits=limits).run()
    assert publisher.records == [b"ok"]
    assert [letter.body for letter in publisher.letters] == [body]
    assert (counts.received, counts.published, counts.dead_lettered) == (2, 1, 1)


async def test_a_fault_in_a_format_costs_one_body_only() -> None:
    publisher = MemoryPublisher()
    await collector(MemoryTransport(b"a\nbug\n", b"b\n"), publisher).run()
    assert sorted(publisher.records) == [b"a", b"b"]
    assert "ZeroDivisionError" in publisher.letters[0].message


async def test_an_oversized_record_goes_to_the_archive_and_its_neighbours_do_not_notice() -> None:
    giant = b"g" * (20 * 1024 * 1024)
    publisher, objects = MemoryPublisher(), Objects(faults=2)
    counts = await collector(MemoryTransport(b"a\na\n" + giant + b"\na\nb\n"), publisher, objects=objects).run()
    letter = publisher.letters[0]
    assert (letter.reason, letter.body, letter.size) == ("OversizedRecord", b"", len(giant))
    assert objects.kept[letter.object_key] == giant
    assert publisher.records == [b"a", b"a", b"a", b"b"]
    first, second = publisher.envelopes
    assert (first.header.origin.first_ordinal, second.header.origin.first_ordinal) == (0, 3)
    assert (dict(first.repeats), dict(second.repeats)) == ({1: 1}, {0: 2})
    assert (counts.received, counts.published, counts.dead_lettered) == (5, 4, 1)


async def test_a_broken_body_too_large_for_kafka_lies_in_the_archive() -> None:
    body = b"a\n!\n" + b"x" * (MAX_RECORD_BYTES + 1)
    publisher, objects = MemoryPublisher(), Objects()
    await collector(MemoryTransport(body), publisher, objects=objects).run()
    assert objects.kept[publisher.letters[0].object_key] == body


async def test_a_stop_finishes_what_is_held() -> None:
    transport, publisher = MemoryTransport(b"a\n", endless=True), MemoryPublisher(["slow"])
    running = collector(transport, publisher)
    task = asyncio.create_task(running.run())
    await until(lambda: publisher.calls)
    running.stop()
    assert (await task).published == 1
    assert transport.given[0].settled == ["acknowledged"]
    assert transport.closed


async def test_a_stop_while_brokers_are_away_hands_everything_back_within_the_grace_period() -> None:
    transport, publisher = MemoryTransport(*[b"a\n"] * 9), MemoryPublisher()
    publisher.away = True
    running = collector(transport, publisher, limits=Limits(max_in_flight=2, grace_s=0.05))
    before = asyncio.all_tasks()
    task = asyncio.create_task(running.run())
    await until(lambda: publisher.calls > 3)
    running.stop()
    counts = await asyncio.wait_for(task, 5)
    assert counts == Counts()
    assert {tuple(each.settled) for each in transport.given[: transport.pulled]} == {("rejected True",)}
    assert asyncio.all_tasks() == before


async def test_a_source_that_refuses_is_told_after_everything_else_was_collected() -> None:
    class Refusing(MemoryTransport):
        async def deliveries(self):  # type: ignore[no-untyped-def,override]
            async for delivery in super().deliveries():
                yield delivery
            raise SourceRefused("reading file: permission denied", where="secret.log")

    transport, publisher = Refusing(b"a\n"), MemoryPublisher(["slow"])
    with pytest.raises(SourceRefused, match="permission denied"):
        await collector(transport, publisher).run()
    assert publisher.records == [b"a"]
    assert transport.given[0].settled == ["acknowledged"]


class Continued(MemoryTransport):
    """One object in several bodies."""

    def __init__(self, *bodies: bytes) -> None:
        super().__init__(*bodies)
        ordinal = 0
        for each in self.given:
            each.origin = type(each.origin)(transport="memory", locator="one", first_ordinal=ordinal)
            ordinal += len(each.body.split())


@given(st.lists(st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=1, max_size=9), max_size=5))
def test_identical_records_of_one_object_are_told_apart_wherever_it_is_cut(chunks: list[list[bytes]]) -> None:
    publisher = MemoryPublisher()
    transport = Continued(*[b"\n".join(chunk) for chunk in chunks])
    asyncio.run(collector(transport, publisher, limits=Limits(max_in_flight=1)).run())
    seen = [
        (record, each.repeats.get(index, 0))
        for each in publisher.envelopes
        for index, record in enumerate(each.records)
    ]
    expected: dict[bytes, int] = {}
    for record in itertools.chain(*chunks):
        number = expected.get(record, 0)
        assert (record, number) in seen
        expected[record] = number + 1
    assert len(seen) == len(set(seen)) == sum(map(len, chunks))


async def test_what_the_head_of_an_object_says_of_its_records_travels_with_every_part_of_it() -> None:
    line = b"1.2.3.4 5.6.7.8 1795334519"
    transport, publisher = Continued(b"srcaddr dstaddr end\n" + line, line, line), MemoryPublisher()
    await collector(transport, publisher, format_=VPCFLOW).run()
    said = (("fields", "srcaddr dstaddr end"),)
    assert [(each.header.context, each.records) for each in publisher.envelopes] == [(said, (line,))] * 3
    assert [VPCFLOW.within(each.header.context).normalise(line)["destination"]["ip"] for each in publisher.envelopes]


async def test_another_object_says_nothing_of_an_earlier_one() -> None:
    line = b"1.2.3.4 5.6.7.8 1795334519"
    publisher = MemoryPublisher()
    await collector(MemoryTransport(b"srcaddr dstaddr end\n" + line, line), publisher, format_=VPCFLOW).run()
    assert [bool(each.header.context) for each in publisher.envelopes] == [True, False]


async def test_bodies_that_fail_together_raise_one_alarm() -> None:
    publisher = MemoryPublisher()
    publisher.away = True
    alarms: list[TransientError] = []
    backoff = Backoff(0.001, 0.005, 0.2, lambda error, _seconds: alarms.append(error))
    running = collector(MemoryTransport(*[b"x\n"] * 8), publisher, limits=Limits(grace_s=0.01), backoff=backoff)
    task = asyncio.create_task(running.run())
    await until(lambda: alarms)
    await asyncio.sleep(0.1)
    assert len(alarms) == 1
    running.stop()
    await task


async def test_an_interrupt_hands_everything_back_like_a_stop() -> None:
    transport, publisher = MemoryTransport(b"a\n", endless=True), MemoryPublisher()
    publisher.away = True
    running = collector(transport, publisher, limits=Limits(grace_s=0.05))
    task = asyncio.create_task(running.run())
    await until(lambda: publisher.calls > 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert transport.given[0].settled == ["rejected True"]
    assert transport.closed
