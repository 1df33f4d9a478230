"""Files of secrets, read again when they change: bearer tokens, keys of signatures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ingest.schema.errors import ConfigError, SkytrailError

_SHORTEST = 16


class SecretFile:
    """The accepted secrets of a file.

    A line is `<source-id> <secret>` (only that source may use it) or `<secret>`; `#` begins a comment. A file that
    can't be read lets nobody in: revoking must not depend on a correct file.

    Args:
        file: Read at once.
        warn: Hears that a changed file can't be used.
        what: What the secrets are, for errors (`tokens`).

    Raises:
        ConfigError: The file can't be read or holds no usable secret.
    """

    def __init__(self, file: Path, warn: Callable[[SkytrailError], None], *, what: str) -> None:
        self._file = file
        self._warn = warn
        self._what = what
        self._stamp = _stamp(file)
        self._accepted = self._read()

    def accepted(self) -> Sequence[tuple[str, str]]:
        """(source id, secret) of each line; the id is empty where every source may use it."""
        stamp = _stamp(self._file)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._accepted = self._read()
            except ConfigError as exc:
                self._accepted = []
                self._warn(exc)
        return self._accepted

    def _read(self) -> list[tuple[str, str]]:
        where = f"{self._what} {self._file}"
        try:
            lines = self._file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as exc:
            mend = "create it with a line `<source-id> <secret>`, the secret from `openssl rand -hex 32`"
            raise ConfigError(f"reading {self._what}: {exc}", where=where, mend=mend) from exc
        accepted: list[tuple[str, str]] = []
        for number, line in enumerate(lines, start=1):
            parts = line.partition("#")[0].split()
            if not parts:
                continue
            if len(parts) > 2 or len(parts[-1]) < _SHORTEST:  # noqa: PLR2004 - source id and secret
                raise ConfigError(
                    f"reading {self._what}: line is not `[source-id] secret`, with {_SHORTEST} or more characters",
                    where=f"{where} line {number}",
                    mend="make a secret with `openssl rand -hex 32`",
                )
            accepted.append((parts[0] if len(parts) > 1 else "", parts[-1]))
        if not accepted:
            raise ConfigError(f"reading {self._what}: there is none", where=where)
        return accepted


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
