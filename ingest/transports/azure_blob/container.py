"""A container of Blob Storage as we need it: pages of a listing, and ranges of bytes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.identity.aio import DefaultAzureCredential
from azure.storage.blob import BlobProperties, BlobType
from azure.storage.blob.aio import ContainerClient

from ingest.schema.errors import SkytrailError, SourceRefused, SourceUnavailable
from ingest.transports.azure.containers import container_url, open_container, storage_trouble
from ingest.transports.azure.credentials import machine_identity
from ingest.transports.azure_blob.settings import AzureBlobSettings

_PAGE = 5000  # the most that the service gives
_GONE = frozenset({"BlobNotFound", "InvalidRange"})


@dataclass(frozen=True, slots=True)
class Listed:
    """A blob as a listing tells it.

    Attributes:
        locator: Its address without the scheme.
        modified: When it was last written (seconds since 1970).
        appended: It is an append blob: what was written once stays.
        sealed: Nothing can be appended any longer.
    """

    name: str
    locator: str
    size: int
    etag: str
    modified: float
    appended: bool
    sealed: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """Bytes of a blob.

    Attributes:
        total: Bytes of the whole blob then.
        version: Id of its version, where the account keeps versions.
    """

    body: bytes
    total: int
    etag: str
    version: str


class Container:
    """The blobs that settings name.

    Raises:
        ConfigError: The address or the connection string is wrong.
    """

    def __init__(self, settings: AzureBlobSettings) -> None:
        account, name = container_url(settings.container_url)
        file = settings.connection_string_file
        self._identity: DefaultAzureCredential | None = None if file else machine_identity()
        self._client: ContainerClient = open_container(account, name, file, self._identity)
        self._prefix = settings.prefix
        self.where = f"{account}/{name}"
        self._base = f"{self.where.partition('://')[2]}/"

    @property
    def prefix(self) -> str:
        """What the locators of all its blobs begin with."""
        return self._base + self._prefix

    async def look(self) -> None:
        """Ask for one blob, to learn whether we may.

        Raises:
            SourceUnavailable: The service is away or busy.
            SourceRefused: There is no such container, or we may not read it.
        """
        async for _ in self._pages(1):
            return

    async def pages(self) -> AsyncGenerator[list[Listed], None]:
        """All blobs, in the order of the service, in pages.

        Raises:
            SourceUnavailable: The service is away or busy.
            SourceRefused: There is no such container, or we may not list it.
        """
        async for page in self._pages(_PAGE):
            yield [self._listed(blob) for blob in page if blob.size is not None]

    async def _pages(self, size: int) -> AsyncGenerator[list[BlobProperties], None]:
        listing: Any = self._client.list_blobs(name_starts_with=self._prefix or None, results_per_page=size)
        try:
            async for page in listing.by_page():
                yield [blob async for blob in page]
        except Exception as exc:  # the HTTP client below has errors of its own
            raise storage_trouble("listing blobs", exc, self.where) from exc

    def _listed(self, blob: BlobProperties) -> Listed:
        return Listed(
            name=blob.name,
            locator=self._base + blob.name,
            size=blob.size,
            etag=(blob.etag or "").strip('"'),
            modified=blob.last_modified.timestamp(),
            appended=blob.blob_type is BlobType.APPENDBLOB,
            sealed=bool(blob.is_append_blob_sealed),
        )

    async def read(self, blob: Listed, start: int, size: int, *, etag: str = "") -> Read | None:
        """Some bytes of a blob, fewer at its end.

        Args:
            etag: It must still be this.

        Returns:
            None where there is nothing any longer: it was deleted, or became shorter.

        Raises:
            SourceUnavailable: The service is away or busy, or the blob has another ETag.
            SourceRefused: We may not read it, or not now.
        """
        same: dict[str, Any] = {"etag": f'"{etag}"', "match_condition": MatchConditions.IfNotModified} if etag else {}
        try:
            stream = await self._client.get_blob_client(blob.name).download_blob(start, size, **same)
            body: bytes = await stream.readall()
        except Exception as exc:
            if _code(exc) in _GONE:
                return None
            raise _trouble(exc, blob.locator) from exc
        found = stream.properties
        total = int(str(found.content_range).rpartition("/")[2]) if found.content_range else len(body)
        return Read(body, total, (found.etag or "").strip('"'), found.version_id or "")

    async def close(self) -> None:
        """Close everything; harmless when repeated."""
        await self._client.close()
        if self._identity is not None:
            await self._identity.close()


def _code(error: Exception) -> str:
    code = getattr(error, "error_code", None) or ""
    return str(getattr(code, "value", code))


def _trouble(error: Exception, where: str) -> SkytrailError:
    if _code(error) == "BlobArchived":
        mend = "rehydrate it to the tier cool or hot; it is tried again every hour"
        return SourceRefused("reading blob: it lies in the tier archive", where=where, mend=mend)
    if isinstance(error, HttpResponseError) and error.status_code == 412:  # noqa: PLR2004 - precondition failed
        return SourceUnavailable("reading blob: it was written meanwhile", where=where)
    return storage_trouble("reading blob", error, where)
