"""Files of a directory, beside reading them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from ingest.transports.contract import Place, Transport
from ingest.transports.files.settings import FilesSettings
from ingest.transports.files.transport import open_transport
from skytrail.bench.collecting import Load


@contextlib.asynccontextmanager
async def opened(load: Load) -> AsyncIterator[Directory]:
    """A directory with a file per body."""
    with tempfile.TemporaryDirectory() as folder:
        yield Directory(Path(folder), load)


class Directory:
    """See `Source`."""

    sdk = "open and read"

    def __init__(self, directory: Path, load: Load) -> None:
        self._directory = directory
        self.size = 0
        for number, body in enumerate(load.bodies()):
            (directory / f"{number:06}.json").write_bytes(body)
            self.size += len(body)

    async def fill(self) -> None:
        """Nothing: reading does not empty it."""

    async def open(self, place: Place) -> Transport:
        """See `Source.open`."""
        return await open_transport(FilesSettings(paths=(str(self._directory),)), place)

    async def alone(self) -> int:
        """See `Source.alone`."""
        return sum(len(path.read_bytes()) for path in sorted(self._directory.iterdir()))
