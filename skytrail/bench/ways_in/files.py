"""Gzip files of a directory, as CloudTrail delivers them, beside reading and inflating them with the standard library.

The transport hands a gzip on as it is and the collector inflates it: here both ways end with inflated bytes.
"""

from __future__ import annotations

import contextlib
import gzip
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from ingest.parsing.gzip_member import inflate
from ingest.transports.contract import Delivery, Place, Transport
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

    sdk = "open, read, gzip"

    def __init__(self, directory: Path, load: Load) -> None:
        self._directory = directory
        self.size = load.size
        for number, body in enumerate(load.bodies()):
            (directory / f"{number:06}.json.gz").write_bytes(gzip.compress(body, 6, mtime=0))

    async def fill(self) -> None:
        """Nothing: reading does not empty it."""

    async def open(self, place: Place) -> Transport:
        """See `Source.open`."""
        files = await open_transport(FilesSettings(paths=(str(self._directory),)), place)
        return _Inflating(files, place.max_body_bytes)

    async def alone(self) -> int:
        """See `Source.alone`."""
        return sum(len(gzip.decompress(path.read_bytes())) for path in sorted(self._directory.iterdir()))


@dataclass(frozen=True, slots=True)
class _Inflating:
    """A transport and what the collector does first with what it brings."""

    transport: Transport
    limit: int

    async def deliveries(self) -> AsyncIterator[Delivery]:
        async for delivery in self.transport.deliveries():
            yield _Inflated(delivery, inflate(delivery.body, self.limit))

    async def close(self) -> None:
        await self.transport.close()


class _Inflated:
    def __init__(self, delivery: Delivery, body: bytes) -> None:
        self.body = body
        self.origin = delivery.origin
        self.received_at = delivery.received_at
        self.source = delivery.source
        self.acknowledge = delivery.acknowledge
        self.reject = delivery.reject
