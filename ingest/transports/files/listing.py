"""Which files a list of paths, directories and globs means now."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from ingest.schema.errors import SourceRefused


def list_files(specs: tuple[str, ...], skip: frozenset[Path]) -> tuple[list[Path], list[SourceRefused]]:
    """Files in order, each once, and what could not be listed.

    A directory stands for its tree, sorted by path; hidden files in trees and globs are left out, as are links to
    directories (they may form loops). A file named outright is taken whatever its name.

    Args:
        specs: As a person writes them.
        skip: Files of our own that may lie in the tree.
    """
    problems: list[SourceRefused] = []
    found: dict[Path, None] = {}
    names = {path.name for path in skip}
    for spec in specs:
        for path in _expand(spec, problems):
            # Resolving costs more than all else here; without a link at its end a path keeps its name.
            ours = (path.name in names or path.is_symlink()) and path.resolve() in skip
            if not ours:
                found.setdefault(path)
    return list(found), problems


def _expand(spec: str, problems: list[SourceRefused]) -> Iterator[Path]:
    path = Path(spec)
    if path.is_dir():
        yield from _tree(path, problems)
    elif path.exists():
        yield path
    elif glob.has_magic(spec):
        matches = sorted(glob.glob(spec, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        if not matches:
            problems.append(SourceRefused("listing files: nothing matches", where=spec, mend="correct the pattern"))
        for match in matches:
            yield from _tree(Path(match), problems) if Path(match).is_dir() else (Path(match),)
    else:
        mend = "correct the path; is the volume mounted, and may this user enter the directories above?"
        problems.append(SourceRefused("listing files: there is no such file", where=spec, mend=mend))


def _tree(top: Path, problems: list[SourceRefused]) -> Iterator[Path]:
    def refused(error: OSError) -> None:
        problems.append(refusal("listing directory", error, Path(error.filename or top)))

    paths: list[Path] = []
    for directory, subdirectories, names in os.walk(top, onerror=refused):
        subdirectories[:] = [name for name in subdirectories if not name.startswith(".")]
        paths += [Path(directory, name) for name in names if not name.startswith(".")]
    yield from sorted(path for path in paths if path.is_file())


def refusal(doing: str, error: OSError, path: Path) -> SourceRefused:
    """A refusal that names the file and what to do."""
    if isinstance(error, PermissionError):
        return SourceRefused(
            f"{doing}: permission denied",
            where=str(path),
            mend=f"let the user with id {os.geteuid()} read it, e.g. `setfacl -m u:{os.geteuid()}:r`",
        )
    return SourceRefused(f"{doing}: {error.strerror or error}", where=str(path), mend="check the file and its volume")
