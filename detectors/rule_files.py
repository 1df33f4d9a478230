"""Which files of a path are rule files: one answer for who loads them and for who looks whether they changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

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
        Files; links that lead nowhere and directories that can't be listed as well, so that who reads them says so.
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
    return entry.suffix.lower() in SUFFIXES and (entry.is_file() or entry.is_symlink())
