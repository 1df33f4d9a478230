"""Progress that is kept in a file: written once a second, and a last time at the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from ingest.schema.errors import SkytrailError, StoreUnavailable

_EVERY_S = 1.0


class Saving:
    """Saves a checkpoint until it is closed.

    Args:
        save: Writes what changed; called in a thread, never twice at once.
        file: Where it writes, for errors.
        warn: Hears that it could not.
    """

    def __init__(self, save: Callable[[], None], file: Path, warn: Callable[[SkytrailError], None]) -> None:
        self._save = save
        self._file = file
        self._warn = warn
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to save."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Save a last time. Harmless when repeated."""
        self._closing.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _EVERY_S)
            try:
                await asyncio.to_thread(self._save)
            except OSError as exc:
                # Going on is right: what is not noted is read again after a restart, never skipped.
                mend = "free space or correct permissions; until then a restart repeats what was read"
                what = f"saving checkpoint: {exc.strerror or exc}"
                self._warn(StoreUnavailable(what, where=str(self._file), mend=mend))
