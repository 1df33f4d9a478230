"""Opens a container of Blob Storage, and names what Blob Storage refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.identity.aio import DefaultAzureCredential
from azure.storage.blob.aio import ContainerClient, LinearRetry

from ingest.schema.errors import ConfigError, SkytrailError, SourceRefused, SourceUnavailable
from ingest.transports.azure.credentials import connection_string

_REFUSALS = frozenset({401, 403, 404, 409})


def container_url(url: str) -> tuple[str, str]:
    """The address of the account and the name of the container.

    Raises:
        ConfigError: This is no address of a container.
    """
    found = urlsplit(url)
    account, _, container = found.path.strip("/").rpartition("/")
    if found.scheme not in ("https", "http") or not found.hostname or not container or found.query:
        raise ConfigError(
            "reading address of a container: it has not the form of one",
            where=url,
            mend="write https://<account>.blob.core.windows.net/<container>, without a token",
        )
    if found.scheme == "http" and found.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise ConfigError("reading address of a container: http beyond loopback", where=url, mend="write https://…")
    return f"{found.scheme}://{found.netloc}/{account}".rstrip("/"), container


def open_container(
    account_url: str, container: str, file: Path | None, identity: DefaultAzureCredential | None
) -> ContainerClient:
    """A client of a container; close it when done.

    Args:
        account_url: Address of the account.
        container: Name of the container.
        file: Holds a connection string of the account, with its key or a SAS; None: `identity` is used.
        identity: The identity of the machine.

    Raises:
        ConfigError: The connection string is none, or of another account.
    """
    # Left to itself the client is silent for a minute before anybody hears of a service that is away.
    retries: Any = LinearRetry(backoff=1, retry_total=1, random_jitter_range=1)
    if file is None:
        return ContainerClient(account_url, container, credential=identity, retry_policy=retries)
    try:
        client = ContainerClient.from_connection_string(connection_string(file), container, retry_policy=retries)
    except ValueError as exc:
        mend = "copy it again from `az storage account show-connection-string`"
        raise ConfigError(f"reading connection string: {exc}", where=str(file), mend=mend) from exc
    if container_url(client.url.partition("?")[0])[0].lower() != account_url.lower():
        mend = "give the connection string of the account that the settings name"
        raise ConfigError("reading connection string: it is of another account", where=str(file), mend=mend)
    return client


def storage_trouble(doing: str, error: Exception, where: str) -> SkytrailError:
    """What an error of Blob Storage means: refused for now and ever, or away."""
    code = getattr(error, "error_code", None) or type(error).__name__
    code = getattr(code, "value", code)
    status = error.status_code if isinstance(error, HttpResponseError) else None
    told = f"{doing}: {code}"
    if isinstance(error, ClientAuthenticationError) and not getattr(error, "error_code", None):
        mend = "the identity got no token: check it, its client id and the clock"
        return SourceRefused(told, where=where, mend=mend)
    if isinstance(error, ResourceNotFoundError):
        return SourceRefused(told, where=where, mend="create it, or correct the address in the settings")
    if status in _REFUSALS:
        mend = "give the identity its role on this container, or a key or token that is valid; docs/sources.md has them"
        return SourceRefused(told, where=where, mend=mend)
    first = str(error).partition("\n")[0][:200]
    return SourceUnavailable(f"{told}: {first}", where=where)
