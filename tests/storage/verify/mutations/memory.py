"""An archive in memory, so that thousands of changes to it are checked in a minute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path


class Memory(dict[str, bytes]):
    """Objects by key. A `Place`."""

    @classmethod
    def of(cls, root: Path) -> Memory:
        """What lies in a directory."""
        return cls(
            (path.relative_to(root).as_posix(), path.read_bytes())
            for path in sorted(root.rglob("*"))
            if path.is_file() and path.name[0] != "."
        )

    def read(self, key: str) -> bytes | None:
        return self.get(key)

    def chunks(self, key: str) -> Iterator[bytes]:
        yield self[key]

    def names(self, folder: str) -> list[str]:
        start = folder.rstrip("/") + "/" if folder else ""
        below = [key[len(start) :].partition("/") for key in self if key.startswith(start)]
        if folder and not below:
            raise FileNotFoundError(2, "no such folder", folder)
        return sorted({name + slash for name, slash, _ in below})

    def names_behind(self, folder: str, name: str, most: int) -> list[str]:
        return [each for each in self.names(folder) if each > name][:most]

    def walk(self, folder: str) -> Iterator[str]:
        yield from sorted(key for key in self if key.startswith(folder.rstrip("/") + "/"))

    def metadata(self, key: str) -> Mapping[str, str]:
        del key
        return {}

    def below(self, *starts: str) -> list[str]:
        """The keys that begin with one of these."""
        return [key for key in self if key.startswith(starts)]
