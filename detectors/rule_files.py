"""Which files of a path are rule files: one answer for who loads them and for who looks whether they changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from detectors.sigma.yaml_source import MAX_BYTES, too_large

SUFFIXES = (".yml", ".yaml")
"""In any case of letters."""


def rule_files(path: Path) -> Iterator[Path]:
    """The rule files of a path, in the order of their names.

    A directory is walked through links as well, each real directory once. Names that begin with a dot are left out:
    Kubernetes mounts a ConfigMap as links into `..data`, a link to a directory `..<time>` that it swaps; walked under
    those names, too, each rule would stand there three times.

    Args:
        path: A directory, or a file, which is taken whatever its name.

    Yields:
        Files; links that lead nowhere, directories that can't be listed, and what is no file as well, so that who reads
        them says so.
    """
    if path.is_dir():
        yield from _walked(path, set())
    else:
        yield path


def _walked(folder: Path, seen: set[Path]) -> Iterator[Path]:
    try:
        real = folder.resolve()
        names = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
        entries = [(entry, entry.is_dir()) for entry in names if entry.is_dir() or _is_rule_file(entry)]
    except OSError:
        yield folder
        return
    if real in seen:
        return
    seen.add(real)
    for entry, deeper in entries:
        yield from _walked(entry, seen) if deeper else (entry,)


def _is_rule_file(entry: Path) -> bool:
    return entry.suffix.lower() in SUFFIXES


def read_rules(file: Path, *, named: bool) -> str:
    """The text of a rule file. What stands in a directory can neither make the reader wait nor fill its memory.

    Args:
        file: It.
        named: Whether somebody named this very file: then it may be a pipe, which is waited for.

    Raises:
        OSError: It can't be read, or is no regular file.
        UnicodeDecodeError: It is no UTF-8.
        ConfigError: It is too large.
    """
    with os.fdopen(os.open(file, os.O_RDONLY | (0 if named else os.O_NONBLOCK)), encoding="utf-8") as opened:
        found = os.fstat(opened.fileno())
        if not named and not stat.S_ISREG(found.st_mode):
            raise OSError("it is no regular file: take it out of the directory, or name it by itself")
        if found.st_size > MAX_BYTES:
            raise too_large(found.st_size, where=str(file))
        return opened.read(MAX_BYTES + 1)
