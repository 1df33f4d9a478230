"""Opens an archive: the one that the settings name, or one to read at an address."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from ingest.schema.errors import ConfigError
from storage.archive.store import ArchiveStore
from storage.archive.stores.filesystem import FilesystemStore
from storage.azure_settings import AzureArchiveSettings
from storage.gcs_settings import GcsArchiveSettings
from storage.settings import ArchiveSettings, CloudArchive, S3ArchiveSettings

_OPTIONS: Final = {"azure": "connection_string_file", "gs": "credentials_file"}


def open_archive(settings: ArchiveSettings, directory: Path, *, allow_delete: bool = False) -> ArchiveStore:
    """The store of the archive.

    Args:
        settings: With `s3`, `azure` or `gcs` what these name; else the directory is it.
        directory: Root of the filesystem store.
        allow_delete: Whether this identity may delete.
    """
    cloud = settings.cloud
    return (
        FilesystemStore(directory, allow_delete=allow_delete)
        if cloud is None
        else _open(cloud, allow_delete=allow_delete)
    )


def archive_at(address: str) -> ArchiveStore:
    """The archive at a path or a URL, to be read.

    ``file://``, ``s3://bucket/prefix``, ``azure://account/container/prefix?connection_string_file=PATH`` or
    ``gs://bucket/prefix?credentials_file=PATH``; without a file as whoever the tools of that cloud find.

    Raises:
        ConfigError: No such kind of address.
    """
    parts = urlsplit(address)
    if "://" not in address:
        return FilesystemStore(Path(address))
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return FilesystemStore(Path(unquote(parts.path)))
    mend = "give a directory, s3://bucket/prefix, azure://account/container/prefix or gs://bucket/prefix"
    try:
        cloud = _cloud(parts)
    except ValueError as exc:
        raise ConfigError("opening archive: nothing has such a name", where=address, mend=mend) from exc
    if cloud is None:
        told = "opening archive: no path, file://, s3://, azure:// or gs:// URL"
        raise ConfigError(told, where=address, mend=mend)
    return _open(cloud, allow_delete=False)


def _cloud(parts: SplitResult) -> CloudArchive | None:
    """What settings would say of an address; None where it is of no cloud.

    Raises:
        ValueError: No bucket or container has such a name, or the address has an option that is none.
    """
    given: dict[str, Any] = {"prefix": parts.path.strip("/"), "lock": "none"}
    options = parse_qs(parts.query, strict_parsing=bool(parts.query))
    if set(options) - {_OPTIONS.get(parts.scheme)}:
        raise ValueError("an address has no such option")
    given |= {name: values[-1] for name, values in options.items()}
    match parts.scheme:
        case "s3":
            return S3ArchiveSettings(**given, bucket=parts.netloc)
        case "gs":
            return GcsArchiveSettings(**given, bucket=parts.netloc)
        case "azure":
            container, _, given["prefix"] = given["prefix"].partition("/")
            return AzureArchiveSettings(**given, account=parts.netloc, container=container)
        case _:
            return None


def _open(settings: CloudArchive, *, allow_delete: bool) -> ArchiveStore:
    # Imported when asked for: such a library takes a tenth of a second and more, and most archives are directories.
    match settings:
        case S3ArchiveSettings():
            from storage.archive.stores.s3 import S3Store  # noqa: PLC0415

            return S3Store(settings, allow_delete=allow_delete)
        case AzureArchiveSettings():
            from storage.archive.stores.azure_blob import AzureBlobStore  # noqa: PLC0415

            return AzureBlobStore(settings, allow_delete=allow_delete)
        case GcsArchiveSettings():
            from storage.archive.stores.gcs import GcsStore  # noqa: PLC0415

            return GcsStore(settings, allow_delete=allow_delete)
