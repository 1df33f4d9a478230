"""Standard input and named pipes: read once, as it comes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from ingest.transports.contract import Delivery
from ingest.transports.files.transport import FilesTransport
from tests.ingest.fakes import Told
from tests.ingest.transports.contract import nothing_more, pull
from tests.ingest.transports.files.test_files import read_all


async def test_a_pipe_that_is_named_is_read_to_its_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reading = asyncio.create_task(read_all(tmp_path / "pipe", told=Told(tmp_path)))
    await asyncio.to_thread((tmp_path / "pipe").write_bytes, b'{"n": 1}\n')
    (found,) = await asyncio.wait_for(reading, 5)
    assert found.body == b'{"n": 1}\n'


class TestStandardInput:
    @pytest.fixture
    def pipe(self):
        read, write = os.pipe()
        yield read, write
        for descriptor in (read, write):
            try:
                os.close(descriptor)
            except OSError:
                continue

    async def test_lines_go_on_their_way_while_the_stream_is_open(self, tmp_path: Path, pipe: tuple[int, int]) -> None:
        read, write = pipe
        transport = FilesTransport(("-",), Told(tmp_path).place, stdin=read)
        iterator = transport.deliveries()
        os.write(write, b'{"n": 1}\n{"n": ')
        (first,) = await pull(iterator, 1)
        assert first.body == b'{"n": 1}\n'
        os.write(write, b"2}")
        os.close(write)
        (second,) = await pull(iterator, 1)
        assert (second.body, second.origin.first_ordinal) == (b'{"n": 2}', 1)
        for each in (first, second):
            await each.acknowledge()
        assert await nothing_more(iterator)

    async def test_a_document_is_read_to_its_end(self, tmp_path: Path, pipe: tuple[int, int]) -> None:
        read, write = pipe
        transport = FilesTransport(("-",), Told(tmp_path).place, stdin=read)
        iterator = transport.deliveries()
        os.write(write, b'{\n"Records": [\n')
        waiting = asyncio.ensure_future(anext(iterator))  # type: ignore[arg-type]
        await asyncio.sleep(0.6)
        assert not waiting.done()
        os.write(write, b"]}\n")
        os.close(write)
        delivery: Delivery = await asyncio.wait_for(waiting, 5)
        assert delivery.body == b'{\n"Records": [\n]}\n'
        await delivery.acknowledge()
        await transport.close()

    async def test_a_close_does_not_wait_for_a_silent_stream(self, tmp_path: Path, pipe: tuple[int, int]) -> None:
        transport = FilesTransport(("-",), Told(tmp_path).place, stdin=pipe[0])
        iterator = transport.deliveries()
        waiting = asyncio.ensure_future(anext(iterator))  # type: ignore[arg-type]
        await asyncio.sleep(0.05)
        await transport.close()
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(waiting, 2)

    async def test_what_was_read_of_a_stream_and_not_settled_at_a_stop_is_told(
        self, tmp_path: Path, pipe: tuple[int, int]
    ) -> None:
        read, write = pipe
        told = Told(tmp_path)
        transport = FilesTransport(("-",), told.place, stdin=read)
        iterator = transport.deliveries()
        os.write(write, b'{"n": 1}\n{"n": ')
        await pull(iterator, 1)
        waiting = asyncio.ensure_future(anext(iterator))  # type: ignore[arg-type]
        os.write(write, b"2")
        await asyncio.sleep(0.05)
        waiting.cancel()  # as a collector does that stops
        await asyncio.wait({waiting})
        await transport.close()
        await transport.close()
        assert sorted(str(each).partition(" bytes")[0] for each in told.warnings) == [
            "reading stream: 7",
            "reading stream: 9",
        ]
