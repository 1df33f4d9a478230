"""Azure on this machine for a measurement: Blob Storage is Azurite, as a process of its own."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from skytrail.bench.processes import listening, program
from skytrail.local.ports import any_free

_ACCOUNT: Final = "devstoreaccount1"
# Published by Microsoft for its emulators; opens nothing else.
_KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True, slots=True)
class Storage:
    """A storage account.

    Attributes:
        url: Its address.
        connection_string_file: A file that opens it.
    """

    url: str
    connection_string_file: Path

    @property
    def connection_string(self) -> str:
        """What the file holds."""
        return self.connection_string_file.read_text()


@contextlib.asynccontextmanager
async def storage() -> AsyncIterator[Storage]:
    """An empty account.

    Raises:
        ConfigError: Azurite is not installed.
        EngineError: It does not start.
    """
    azurite = program("azurite-blob", "`npm install --global azurite` installs it")
    port = any_free()
    url = f"http://127.0.0.1:{port}/{_ACCOUNT}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "connection"
        file.write_text(f"DefaultEndpointsProtocol=http;AccountName={_ACCOUNT};AccountKey={_KEY};BlobEndpoint={url};")
        # The SDK speaks a newer version of the API than Azurite knows; without the last option every call is a 400.
        where = ("--blobHost", "127.0.0.1", "--blobPort", str(port), "-l", folder)
        options = ("--silent", "--disableTelemetry", "--skipApiVersionCheck")
        async with listening((azurite, *where, *options), port):
            yield Storage(url, file)
