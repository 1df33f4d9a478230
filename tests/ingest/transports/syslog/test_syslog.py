"""Syslog over real TLS: senders come and go, the brokers too."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ingest.backoff import Backoff
from ingest.collector import Collector, Identity, Limits
from ingest.schema.errors import ConfigError
from ingest.transports.syslog.inspection import inspect
from ingest.transports.syslog.transport import SyslogReceiver
from tests.ingest.fakes import EAGER, NOW, LineFormat, MemoryPublisher, until
from tests.ingest.transports.authority import Authority
from tests.ingest.transports.contract import Harness, TransportContract, opened, pull
from tests.ingest.transports.syslog.sender import HEADER, Senders, counted


@pytest.fixture
def senders(tmp_path: Path) -> Senders:
    return Senders(tmp_path)


@asynccontextmanager
async def collecting(receiver: SyslogReceiver, publisher: MemoryPublisher) -> AsyncIterator[None]:
    collector = Collector(
        Identity("gates", "acme", LineFormat()),
        receiver,
        publisher,
        put_object=lambda namespace, body: f"{namespace}/{len(body)}",
        clock=lambda: NOW,
        limits=Limits(grace_s=0.2),
        backoff=EAGER,
    )
    task = asyncio.create_task(collector.run())
    try:
        yield
    finally:
        collector.stop()
        await asyncio.wait_for(task, 15)


def numbered(count: int) -> list[bytes]:
    return [b'{"n":%d}' % number for number in range(count)]


class TestSyslog(TransportContract):
    @pytest.fixture
    def harness(self, senders: Senders) -> Harness:
        senders.options["batch_messages"] = 1
        return senders


class TestSyslogOverPlainTcpOnLoopback(TransportContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Harness:
        class Plain(Senders):
            async def send(self, bodies: list[bytes]) -> None:
                await self.write(b"".join(map(counted, bodies)), tls=False)

        options: dict[str, object] = {"certificate_file": None, "key_file": None, "client_ca_file": None}
        options |= {"allow_plain_tcp": True, "client_certificates": "none", "batch_messages": 1}
        return Plain(tmp_path, options)


async def test_messages_of_one_moment_travel_together_and_name_the_sender(senders: Senders) -> None:
    async with opened(senders) as (_, iterator):
        await senders.send(numbered(100))
        found: list[bytes] = []
        while len(found) < 100:
            (each,) = await pull(iterator, 1)
            found += each.body.splitlines()
            assert each.origin.locator.startswith("127.0.0.1/gate-1/audit/2026-11-22T08:00:00.123456Z")
            assert each.source == "gate-1"  # what the certificate says, not the header
            await each.acknowledge()
        assert found == numbered(100)


async def test_line_feed_framing_takes_a_last_line_without_its_end(senders: Senders) -> None:
    senders.options["framing"] = "line_feed"
    async with opened(senders) as (_, iterator):
        await senders.write(b"\n".join(HEADER + body for body in numbered(3)))
        found: list[bytes] = []
        while len(found) < 3:
            (each,) = await pull(iterator, 1)
            found += each.body.splitlines()
        assert found == numbered(3)


async def test_a_full_spool_makes_the_senders_wait_until_the_brokers_are_back(senders: Senders) -> None:
    publisher = MemoryPublisher()
    publisher.away = True
    receiver = await senders.open(spool_max_bytes=600_000, batch_bytes=300_000, max_message_bytes=20_000)
    receiver._backoff = Backoff(
        cap_s=0.05, alarm_after_s=0.1, on_alarm=lambda error, _seconds: senders.told.warnings.append(error)
    )
    bodies = [b'{"n":%d,"fill":"%s"}' % (number, b"x" * 15_000) for number in range(1000)]
    async with collecting(receiver, publisher):
        _, writer = await senders.connect()
        sending = asyncio.create_task(_write_all(writer, bodies))
        await until(lambda: senders.told.warnings)
        assert "it is full" in str(senders.told.warnings[0])
        await asyncio.sleep(0.5)
        assert not sending.done()  # 15 MB do not fit into what the network holds
        publisher.away = False
        await until(lambda: len(publisher.records) == 1000, 30)
        await sending
        writer.close()
    assert sorted(publisher.records) == sorted(bodies)


async def test_faults_of_the_brokers_lose_nothing(senders: Senders) -> None:
    publisher = MemoryPublisher(["lost", "applied", "slow", "lost", "applied"])
    async with collecting(await senders.open(batch_messages=3), publisher):
        await senders.send([*numbered(20), b"!", b"bug"])
        await until(lambda: len(publisher.letters) == 2 and set(publisher.records) == set(numbered(20)))
        assert {letter.body for letter in publisher.letters} == {b"!", b"bug"}
        await until(lambda: not senders.receiver.spooled)  # type: ignore[union-attr]


async def test_a_stop_keeps_what_was_read_and_ends_the_connection_in_order(senders: Senders) -> None:
    receiver = await senders.open(batch_messages=1)
    reader, writer = await senders.connect()
    writer.write(b"".join(map(counted, numbered(5))) + b"77 <110>1 unfinished")
    await until(lambda: receiver.spooled == 5)
    await receiver.close()
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    assert "ended within a message, 20 bytes of it had come" in str(senders.told.warnings[0])
    async with opened(senders) as (_, iterator):
        assert [each.body for each in await pull(iterator, 5)] == numbered(5)


async def test_a_sender_that_reads_nothing_and_hangs_up_is_heard_to_the_end(senders: Senders) -> None:
    """With TLS 1.3 a server may send tickets first; unread, they turn the sender's close into a reset."""
    receiver = await senders.open()
    receiver._backoff = EAGER

    def blurt() -> None:
        context = senders.authority.trusting(senders.client)
        with (
            socket.create_connection(("127.0.0.1", receiver.port)) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
        ):
            secured.sendall(b"".join(map(counted, numbered(20_000))))

    publisher = MemoryPublisher()
    async with collecting(receiver, publisher):
        await asyncio.to_thread(blurt)
        await until(lambda: len(publisher.records) == 20_000)
    assert senders.told.warnings == []


async def test_what_is_no_syslog_stays_whole_for_its_format_to_refuse(senders: Senders) -> None:
    old = b"<34>Oct 11 22:14:15 gate su: failed for root"
    async with opened(senders) as (_, iterator):
        await senders.write(counted(old, b""))
        (each,) = await pull(iterator, 1)
        assert each.body == old
        assert each.origin.locator == "127.0.0.1/unknown"


async def test_a_message_that_is_too_long_is_left_out_and_told_and_the_next_one_comes(senders: Senders) -> None:
    senders.options["max_message_bytes"] = 2048
    async with opened(senders) as (_, iterator):
        await senders.send([b"x" * 500_000, b'{"n":1}'])
        (each,) = await pull(iterator, 1)
        assert each.body == b'{"n":1}'
        assert f"a message of {len(HEADER) + 500_000} bytes was left out" in str(senders.told.warnings[0])


async def test_a_stream_that_cannot_be_told_apart_is_ended_after_what_was_good(senders: Senders) -> None:
    async with opened(senders) as (_, iterator):
        reader, writer = await senders.connect()
        writer.write(counted(b"good") + HEADER + b"no length\n")
        (each,) = await pull(iterator, 1)
        assert each.body == b"good"
        assert await asyncio.wait_for(reader.read(), 5) == b""
        assert "does not begin with a length" in str(senders.told.warnings[0])
        writer.close()


async def test_connections_are_bounded(senders: Senders) -> None:
    senders.options["max_connections"] = 1
    async with opened(senders) as (_, iterator):
        _, first = await senders.connect()
        first.write(counted(b"{}"))
        await pull(iterator, 1)
        reader, second = await senders.connect()
        assert await asyncio.wait_for(reader.read(), 5) == b""
        assert "raise max_connections" in str(senders.told.warnings[0])
        for writer in (first, second):
            writer.close()


@pytest.mark.parametrize(
    ("wanted", "heard"),
    [
        ("required", {b"from a friend"}),
        ("optional", {b"from a friend", b"from nobody"}),
        ("none", {b"from a friend", b"from nobody", b"from a stranger"}),
    ],
)
async def test_certificates_of_senders_are_asked_for_as_set(senders: Senders, wanted: str, heard: set[bytes]) -> None:
    senders.options |= {
        "client_certificates": wanted,
        "client_ca_file": None if wanted == "none" else senders.authority.file,
        "batch_messages": 1,
    }
    (senders.directory / "other").mkdir()
    stranger = Authority(senders.directory / "other", "other").issue("gate 1")
    async with opened(senders) as (_, iterator):
        for client, body in ((None, b"from nobody"), (stranger, b"from a stranger")):
            context = senders.authority.trusting(client)
            with contextlib.suppress(OSError):
                port = senders.receiver.port  # type: ignore[union-attr]
                reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
                writer.write(counted(body))
                await writer.drain()
                writer.close()
                await reader.read()
        await senders.send([b"from a friend"])
        assert {each.body for each in await pull(iterator, len(heard))} == heard


CHILD = """
import asyncio, sys
from pathlib import Path
from tests.ingest.transports.syslog.sender import Senders

async def main(directory):
    senders = Senders(directory)
    receiver = await senders.open(
        certificate_file=None, key_file=None, client_ca_file=None, client_certificates="none", allow_plain_tcp=True
    )
    print(receiver.port, flush=True)
    while True:
        await asyncio.sleep(0.001)
        print(receiver.spooled, flush=True)

asyncio.run(main(Path(sys.argv[1])))
"""


async def test_a_killed_receiver_has_everything_that_it_spooled(senders: Senders, tmp_path: Path) -> None:
    home = tmp_path / "child"
    home.mkdir()
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(home), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[4]
    )
    assert child.stdout
    port = int(await asyncio.wait_for(child.stdout.readline(), 30))
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    spooled = 0
    async with asyncio.timeout(30):
        number = 0
        while spooled < 20:
            writer.write(counted(b'{"n":%d}' % number))
            number += 1
            spooled = int(await child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    assert await child.wait() == -signal.SIGKILL
    writer.close()
    receiver = await senders.open(spool_dir=home / "spool" / "mine")
    bodies = await pull(receiver.deliveries(), receiver.spooled)
    found = [line for each in bodies for line in each.body.splitlines()]
    assert len(bodies) >= 20
    assert found == numbered(len(found))
    await receiver.close()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"client_ca_file": None}, "anybody could write logs"),
        ({"client_certificates": "none"}, "nobody asks for"),
        ({"certificate_file": None}, "there is no certificate"),
        ({"certificate_file": None, "allow_plain_tcp": True}, "client certificates need TLS"),
        ({"certificate_file": None, "allow_plain_tcp": True, "host": "0.0.0.0"}, "plain TCP beyond loopback"),
        ({"key_file": "/nonexistent"}, "reading certificates"),
    ],
)
def test_an_unsafe_or_broken_setting_is_found_before_the_start(
    senders: Senders, changes: dict[str, object], what: str
) -> None:
    with pytest.raises(ConfigError, match=what):
        list(inspect(senders.settings(**changes)))


async def test_a_port_in_use_is_refused_and_the_spool_is_let_go(senders: Senders) -> None:
    first = await senders.open()
    with pytest.raises(ConfigError, match="listening"):
        await senders.open(port=first.port, spool_dir=senders.directory / "second")
    second = await senders.open(spool_dir=senders.directory / "second")
    for each in (first, second):
        await each.close()


def test_a_spool_that_could_not_hold_one_body_is_refused(senders: Senders) -> None:
    with pytest.raises(ValueError, match="one body never fits"):
        senders.settings(spool_max_bytes=1024 * 1024)


def test_a_receiver_for_everybody_is_told_as_such(senders: Senders) -> None:
    (finding,) = inspect(senders.settings(client_certificates="none", client_ca_file=None))
    assert (finding.state, finding.secret_files) == ("warn", (senders.certificate[1],))


async def _write_all(writer: asyncio.StreamWriter, bodies: list[bytes]) -> None:
    for body in bodies:
        writer.write(counted(body))
        await writer.drain()
