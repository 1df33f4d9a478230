"""A log that is rotated as `logrotate` does it, read by a collector that follows its path alone."""

from __future__ import annotations

import datetime as dt
import errno
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.schema.errors import SourceRefused
from ingest.transports.files import transport
from ingest.transports.files.reading import Look
from ingest.transports.files.transport import FilesTransport
from tests.ingest.fakes import NOW, Told, until
from tests.ingest.transports.contract import asking, pull

POLL_S = 0.02


class Rotated:
    """A log, the collector that follows it, and the inode that a deleted log leaves."""

    def __init__(self, directory: Path) -> None:
        self.log = directory / "log" / "audit.log"
        self.log.parent.mkdir()
        self.freed = directory / "freed"
        self.told = Told(directory)
        self._checkpoint = directory / "progress.json"
        self._days = 0
        self._start()

    def _start(self) -> None:
        def clock() -> dt.datetime:
            return NOW + dt.timedelta(days=self._days)

        place = replace(self.told.place, clock=clock)
        self._transport = FilesTransport(
            (str(self.log),), place, follow=True, checkpoint_file=self._checkpoint, poll_interval_s=POLL_S
        )
        self._deliveries = self._transport.deliveries()

    async def restart(self) -> None:
        """End the collector and start it anew."""
        await self._transport.close()
        self._start()

    async def read(self) -> bytes:
        """The next body, acknowledged; afterwards it is another day."""
        (found,) = await pull(self._deliveries, 1)
        await found.acknowledge()
        self._days += 1
        return found.body

    def rotate(self, body: bytes) -> None:
        """Move the log away and begin a new one, in the inode of the one that was moved away before it."""
        reused = self.freed.exists()
        if reused:
            self.freed.rename(self.freed.with_suffix(".new"))
        self.log.rename(self.freed)
        if reused:
            self.freed.with_suffix(".new").write_bytes(body)
            self.freed.with_suffix(".new").rename(self.log)
        else:
            self.log.write_bytes(body)


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_new_log_in_the_inode_of_an_older_one_is_read_and_nothing_is_told(
    tmp_path: Path, *, restarts: bool
) -> None:
    there = Rotated(tmp_path)
    days = [b'{"day": 1, "n": 1}\n{"day": 1, "n": 2}\n', b'{"day": 2}\n', b'{"day": 3}\n', b'{"day": 4, "n": 1}\n' * 9]
    there.log.write_bytes(days[0])
    assert await there.read() == days[0]
    inodes = [there.log.stat().st_ino]
    for body in days[1:]:
        there.rotate(body)
        inodes.append(there.log.stat().st_ino)
        if restarts:
            await there.restart()
        assert await there.read() == body
    assert inodes[2:] == inodes[:2]
    assert there.told.warnings == []
    await there._transport.close()


async def test_a_log_that_is_cut_in_place_is_told_also_after_it_was_rotated_once(tmp_path: Path) -> None:
    there = Rotated(tmp_path)
    there.log.write_bytes(b'{"day": 1}\n')
    await there.read()
    there.rotate(b'{"day": 2, "n": 1}\n{"day": 2, "n": 2}\n')
    await there.read()
    there.log.write_bytes(b'{"day": 3}\n')
    assert await there.read() == b'{"day": 3}\n'
    (told,) = there.told.warnings
    assert "do not go on from the 38 that were read" in str(told)
    await there._transport.close()


async def test_a_log_that_can_not_be_looked_at_for_a_while_did_not_vanish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Rotated(tmp_path)
    there.log.write_bytes(b'{"n": 1}\n{"n": ')
    assert await there.read() == b'{"n": 1}\n'
    refused: list[Path] = []

    def refuse(path: Path) -> Look:
        refused.append(path)
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(transport, "look", refuse)
        async with asking(there._deliveries):
            await until(lambda: len(refused) > 4)
    assert refused[0] == there.log
    (told,) = there.told.warnings
    assert isinstance(told, SourceRefused)
    await there._transport.close()
