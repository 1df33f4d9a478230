"""Where the verifier reads from: bytes by their key, and the names that lie in a folder. Nothing here can write."""

from __future__ import annotations

import bisect
import errno
import importlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast
from urllib.parse import parse_qs, unquote, urlsplit

from storage.verify.guard import Guard

_CHUNK = 1024 * 1024
MOST_BYTES = 512 * 1024 * 1024
"""Of an object that is read as a whole. Nothing that was sealed is as large, so what is cut there has another hash."""
_NO_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO})


class Place(Protocol):
    """A tree of objects. A value that other processes can be given: it opens its connections where it is used."""

    def read(self, key: str) -> bytes | None:
        """The bytes of an object, of one beyond `MOST_BYTES` the first; None where there is none.

        Raises:
            OSError: It can't be read.
        """

    def chunks(self, key: str) -> Iterator[bytes]:
        """The bytes of an object of any size, in pieces.

        Raises:
            OSError: It can't be read, or is not there.
        """

    def names(self, folder: str) -> list[str]:
        """What lies in a folder ("" for the root), sorted; names of folders end in a slash.

        Raises:
            OSError: It can't be read, or is not there.
        """

    def names_behind(self, folder: str, name: str, most: int) -> list[str]:
        """The first names of `names` that sort behind one, at most so many; none where the folder is not there.

        Raises:
            OSError: It can't be read.
        """

    def walk(self, folder: str) -> Iterator[str]:
        """The keys of all objects below a folder, sorted; none where it is not there.

        Raises:
            OSError: It can't be read.
        """

    def guard(self, key: str) -> Guard | None:
        """How the store keeps an object from being deleted; None where it can't, or there is no such object.

        Raises:
            OSError: It can't be read.
        """

    def metadata(self, key: str) -> Mapping[str, str]:
        """What the store keeps beside the bytes of an object; empty for a directory.

        Raises:
            OSError: It can't be read.
        """


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory of this machine. Only files are objects: who reads a pipe or a device never ends."""

    root: Path

    def read(self, key: str) -> bytes | None:
        """See `Place.read`."""
        file = _opened(self.root / key)
        if file is None:
            return None
        with file:
            return file.read(min(os.fstat(file.fileno()).st_size, MOST_BYTES))

    def chunks(self, key: str) -> Iterator[bytes]:
        """See `Place.chunks`."""
        file = _opened(self.root / key)
        if file is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.root / key))
        with file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def names(self, folder: str) -> list[str]:
        """See `Place.names`."""
        with os.scandir(self.root / folder) as entries:
            return sorted(entry.name + "/" * _is_folder(entry) for entry in entries)

    def names_behind(self, folder: str, name: str, most: int) -> list[str]:
        """See `Place.names_behind`."""
        names = self.names(folder) if (self.root / folder).is_dir() else []
        return names[(at := bisect.bisect_right(names, name)) : at + most]

    def walk(self, folder: str) -> Iterator[str]:
        """See `Place.walk`."""
        start = self.root / folder
        if start.is_dir():
            yield from sorted(path.relative_to(self.root).as_posix() for path in start.rglob("*") if path.is_file())

    def guard(self, key: str) -> Guard | None:
        """See `Place.guard`: a directory keeps nothing from its owner."""
        del key
        return None

    def metadata(self, key: str) -> Mapping[str, str]:
        """See `Place.metadata`."""
        del key
        return {}


def _opened(path: Path) -> BinaryIO | None:
    """A file to read; None where there is none. A pipe is not waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        if exc.errno in _NO_FILE:
            return None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "rb")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link that leads to itself


def place_at(url: str) -> Place:
    """The place that a path or a URL names.

    ``file://``, ``s3://bucket/prefix``, ``azure://account/container/prefix?connection_string_file=PATH`` or
    ``gs://bucket/prefix?credentials_file=PATH``; without a file as whoever the tools of that cloud find.

    Raises:
        ValueError: No such kind of place.
    """
    parts = urlsplit(url)
    if "://" not in url:
        return Directory(Path(url))
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Directory(Path(unquote(parts.path)))
    # Only who reads from a cloud needs its library.
    if parts.scheme == "s3" and parts.netloc:
        bucket = importlib.import_module("storage.verify.bucket")
        return cast("Place", bucket.Bucket(parts.netloc, parts.path.strip("/")))
    container, _, below = parts.path.strip("/").partition("/")
    if parts.scheme == "azure" and parts.netloc and container:
        azure = importlib.import_module("storage.verify.azure_container")
        file = _option(parts.query, "connection_string_file")
        return cast("Place", azure.Container(parts.netloc, container, below, file))
    if parts.scheme == "gs" and parts.netloc:
        google = importlib.import_module("storage.verify.google_bucket")
        file = _option(parts.query, "credentials_file")
        return cast("Place", google.GoogleBucket(parts.netloc, parts.path.strip("/"), file))
    raise ValueError(f"{url!r} is no path, file://, s3://, azure:// or gs:// URL")


def _option(query: str, name: str) -> str:
    """The one option that an address may have.

    Raises:
        ValueError: It has another one.
    """
    given = parse_qs(query, strict_parsing=bool(query))
    if unknown := set(given) - {name}:
        raise ValueError(f"an address of this kind takes {name} and not {min(unknown)}")
    return given.get(name, [""])[-1]
