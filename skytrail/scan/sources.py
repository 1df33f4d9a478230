"""Finds what a scan has to read: files, directories, globs, standard input, objects of S3, archives of ours."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ingest.schema.errors import ConfigError, StoreUnavailable
from skytrail.scan.objects import SCHEME, listed
from storage.archive.opening import archive_at

STDIN = "-"
_ARCHIVES = ("gs://", "azure://")
_REMOTE = ("az://", "abfs://", "http://", "https://")
_GLOB = frozenset("*?[")
_MANIFEST = re.compile(r"[^/]+/seg/[^/]+/\d+/\d{12}\.manifest\.json")

Kind = Literal["file", "stdin", "archive", "object"]


@dataclass(frozen=True, slots=True)
class Source:
    """One thing to read.

    Attributes:
        name: As results name it; of an archive in a bucket its address, and `path` says nothing.
        address: Where such an archive is opened; empty: at `name`.
        size: Bytes on disk; 0 where nobody knows.
        fault: Why it can't be read; it is told and not opened.
    """

    kind: Kind
    path: Path
    name: str
    size: int = 0
    fault: str = ""
    address: str = ""


def find(paths: Iterable[str]) -> list[Source]:
    """What some paths stand for, each file once whatever it is called, directories in the order of their names.

    Of directories, names that begin with a dot and links to directories are left out. What else lies there, or fits a
    pattern, and is no file has a fault: a pipe may never end. A pipe that is given itself is read.

    Raises:
        ConfigError: A path does not exist, no file fits a pattern, or it is an address of a remote store.
    """
    found: dict[str, Source] = {}
    for given in paths:
        for source in _of(given):
            found.setdefault(_identity(source), source)
    return list(found.values())


def _identity(source: Source) -> str:
    """What tells it from others: a relative and an absolute path, or a link, may be the same file."""
    local = source.kind in ("file", "archive") and source.path.parts and not source.fault
    return os.path.realpath(source.path) if local else source.name


def _of(given: str) -> Iterator[Source]:
    if given == STDIN:
        yield Source("stdin", Path(given), STDIN)
        return
    if given.startswith(SCHEME):
        yield from _objects(given)
        return
    if given.startswith(_ARCHIVES):
        yield _archive(given)
        return
    if given.lower().startswith(_REMOTE):
        raise ConfigError(
            "looking for input: of remote stores only S3 can be scanned (s3://bucket/prefix), and archives of ours",
            where=given,
            mend="copy the objects first and scan the directory",
        )
    path = Path(given)
    if path.exists():
        yield from _below(path)
        return
    fitting = sorted(glob.glob(given, recursive=True)) if _GLOB & set(given) else []  # noqa: PTH207 - may be absolute
    if not fitting:
        raise ConfigError(
            "looking for input: there is no such file or directory",
            where=printable(given),
            mend="correct the path; a pattern such as 'logs/**/*.json.gz' must fit at least one file",
        )
    for name in fitting:
        yield from _met(Path(name))


def _objects(address: str) -> Iterator[Source]:
    """Objects of S3, or the archive that they are."""
    found = list(listed(address))
    root = address.rstrip("/") + "/"
    if any(name.startswith(root) and _MANIFEST.fullmatch(name[len(root) :]) for name, _ in found):
        yield Source("archive", Path(), address, sum(size for _, size in found))
        return
    yield from (Source("object", Path(), name, size) for name, size in found)


def _archive(address: str) -> Source:
    """An archive of ours on Azure or Google Cloud."""
    try:
        store = archive_at(address)
        found = any(store.folders(f"{namespace}/seg/") for namespace in store.folders(""))
    except StoreUnavailable as exc:
        raise ConfigError(f"looking for input: {exc.what}", where=exc.where or address, mend=exc.mend) from exc
    if not found:
        raise ConfigError(
            "looking for input: there is no archive of ours, and other objects are read from S3 alone",
            where=address,
            mend="correct the address (azure://account/container/prefix, gs://bucket/prefix) or copy the objects first",
        )
    return Source("archive", Path(), address.partition("?")[0], address=address)


def _below(path: Path) -> Iterator[Source]:
    """What a path that exists stands for."""
    if not path.is_dir():
        yield _file(path)
    elif is_archive(path):
        yield Source("archive", path, printable(path), _bytes_below(path))
    else:
        try:
            entries = sorted(path.iterdir())
        except OSError as exc:
            yield Source("file", path, printable(path), fault=f"listing directory: {exc.strerror or exc}")
            return
        for entry in entries:
            if not entry.name.startswith(".") and not (entry.is_symlink() and entry.is_dir()):
                yield from _met(entry)


def _met(path: Path) -> Iterator[Source]:
    """What a path stands for that nobody named: it lies in a directory, or fits a pattern."""
    if path.is_file() or path.is_dir():
        yield from _below(path)
    else:
        fault = "it is a pipe, a socket or a device" if path.exists() else "the link leads nowhere"
        yield Source("file", path, printable(path), fault=f"looking for input: {fault}")


def _file(path: Path) -> Source:
    try:
        return Source("file", path, printable(path), path.stat().st_size)
    except OSError as exc:
        return Source("file", path, printable(path), fault=f"reading file: {exc.strerror or exc}")


def is_archive(path: Path) -> bool:
    """Whether a directory is laid out as our archive: ``<namespace>/seg/<topic>/<partition>/…``."""
    return any(
        partition.is_dir() and partition.name.isdecimal()
        for partition in path.glob("*/seg/*/*")
        if not partition.relative_to(path).parts[0].startswith(".")
    )


def printable(path: Path | str) -> str:
    """A path as text; bytes in it that are no UTF-8 are replaced."""
    return os.fsencode(path).decode("utf-8", "replace")


def _bytes_below(path: Path) -> int:
    return sum(file.stat().st_size for file in path.glob("*/seg/**/*") if file.is_file())
