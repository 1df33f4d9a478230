"""Opens an archive: the one that the settings name, or one to read at an address."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from ingest.schema.errors import ConfigError
from storage.archive.store import ArchiveStore
from storage.archive.stores.filesystem import FilesystemStore
from storage.settings import ArchiveSettings, S3ArchiveSettings


def open_archive(settings: ArchiveSettings, directory: Path, *, allow_delete: bool = False) -> ArchiveStore:
    """The store of the archive.

    Args:
        settings: With `s3`, the bucket; else the directory is it.
        directory: Root of the filesystem store.
        allow_delete: Whether this identity may delete.
    """
    if settings.s3 is None:
        return FilesystemStore(directory, allow_delete=allow_delete)
    return _bucket(settings.s3, allow_delete=allow_delete)


def archive_at(address: str) -> ArchiveStore:
    """The archive at a path, a ``file://`` or an ``s3://bucket/prefix`` URL, to be read.

    Raises:
        ConfigError: No such kind of address.
    """
    parts = urlsplit(address)
    if "://" not in address:
        return FilesystemStore(Path(address))
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return FilesystemStore(Path(unquote(parts.path)))
    mend = "give a directory, or s3://bucket/prefix"
    if parts.scheme != "s3":
        raise ConfigError("opening archive: no path, file:// or s3:// URL", where=address, mend=mend)
    try:
        return _bucket(S3ArchiveSettings(bucket=parts.netloc, prefix=parts.path.strip("/"), lock="none"))
    except ValidationError as exc:
        raise ConfigError("opening archive: no bucket has such a name", where=address, mend=mend) from exc


def _bucket(settings: S3ArchiveSettings, *, allow_delete: bool = False) -> ArchiveStore:
    # Imported when asked for: boto3 takes a tenth of a second, and most archives are directories.
    from storage.archive.stores.s3 import S3Store  # noqa: PLC0415

    return S3Store(settings, allow_delete=allow_delete)
