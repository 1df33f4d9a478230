"""Wrapping keys as files: for one machine, and where there is no key management service.

``<name>.kek`` in a directory: 64 hex digits, mode 0600; the newest name wraps, the others unwrap what they wrapped.
A wrapped key is 12 bytes of random nonce and AES-256-GCM over the data key, with the context as associated data.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ingest.durable_files import sync_directory
from ingest.schema.errors import ConfigError
from storage.datakeys.provider import Wrapped, bound
from storage.datakeys.settings import EncryptionSettings

_SUFFIX = ".kek"
_STAMP = "%Y%m%dT%H%M%S%fZ"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_LOST = "restore it from its backup, or read docs/runbook.md#a-wrapping-key-is-lost-or-leaked"


class FileProvider:
    """See the head of this module.

    Args:
        directory: Where the files lie; made with the first one.
        clock: The present time (UTC), for the names of new ones.
    """

    name = "file"

    def __init__(self, directory: Path, *, clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)) -> None:
        self.directory = directory
        self._clock = clock

    def current(self) -> str:
        """See `KeyProvider.current`; the first key is made where there is none."""
        names = self._names()
        return names[-1] if names else self.renew()

    def wrap(self, key: bytes, context: Mapping[str, str]) -> Wrapped:
        """See `KeyProvider.wrap`."""
        kek, nonce = self.current(), secrets.token_bytes(_NONCE_BYTES)
        return Wrapped(kek, nonce + AESGCM(self._read(kek)).encrypt(nonce, key, bound(context)))

    def unwrap(self, wrapped: Wrapped, context: Mapping[str, str]) -> bytes:
        """See `KeyProvider.unwrap`."""
        nonce, body = wrapped.body[:_NONCE_BYTES], wrapped.body[_NONCE_BYTES:]
        try:
            return AESGCM(self._read(wrapped.kek)).decrypt(nonce, body, bound(context))
        except (InvalidTag, ValueError) as exc:
            raise ConfigError(
                "unwrapping a data key: it was changed, or wrapped by another key of the same name",
                where=str(self.directory / f"{wrapped.kek}{_SUFFIX}"),
                mend="restore the key table and the wrapping keys from one backup",
            ) from exc

    def ready(self) -> None:
        """See `KeyProvider.ready`: the newest key can be read; where there is none, it is made when it is needed."""
        names = self._names()
        if names:
            self._read(names[-1])

    def renew(self) -> str:
        """See `KeyProvider.renew`."""
        name = self._next_name()
        path = self.directory / f"{name}{_SUFFIX}"
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as handle:  # noqa: PTH123 - a descriptor, opened with its mode
                handle.write(secrets.token_hex(_KEY_BYTES).encode() + b"\n")
                handle.flush()
                os.fsync(handle.fileno())
            sync_directory(self.directory)
        except OSError as exc:
            raise ConfigError(f"making a wrapping key: {exc.strerror}", where=str(path)) from exc
        return name

    def _next_name(self) -> str:
        """A name after all that are there: on a clock that was set back, the new key would else not be the current.

        Raises:
            ConfigError: The newest name tells no time.
        """
        now, names = self._clock().astimezone(dt.UTC), self._names()
        if names:
            try:
                newest = dt.datetime.strptime(names[-1].partition("-")[0], _STAMP).replace(tzinfo=dt.UTC)
            except ValueError as exc:
                raise ConfigError(
                    "making a wrapping key: the newest key has a name that Skytrail does not give",
                    where=str(self.directory / f"{names[-1]}{_SUFFIX}"),
                    mend="move files that are not wrapping keys out of this directory",
                ) from exc
            now = max(now, newest + dt.timedelta(microseconds=1))
        return f"{now:{_STAMP}}-{secrets.token_hex(4)}"

    def _names(self) -> list[str]:
        return sorted(path.name.removesuffix(_SUFFIX) for path in self.directory.glob(f"*{_SUFFIX}"))

    def _read(self, name: str) -> bytes:
        """A key. The message of an error says nothing of its content."""
        path = self.directory / f"{name}{_SUFFIX}"
        try:
            mode, text = path.stat().st_mode, path.read_text("ascii")
        except (OSError, UnicodeDecodeError) as exc:
            told = exc.strerror if isinstance(exc, OSError) else "not a wrapping key"
            raise ConfigError(f"reading a wrapping key: {told}", where=str(path), mend=_LOST) from exc
        if mode & 0o077:
            raise ConfigError(
                f"reading a wrapping key: its mode is {mode & 0o777:04o}, so others may read it",
                where=str(path),
                mend=f"chmod 600 {path}; if others could log in here: `skytrail keys data rotate`",
            )
        try:
            key = bytes.fromhex(text.strip())
        except ValueError:
            key = b""
        if len(key) != _KEY_BYTES:
            raise ConfigError("reading a wrapping key: not 64 hex digits", where=str(path), mend=_LOST)
        return key


def open_provider(settings: EncryptionSettings, state_dir: Path) -> FileProvider:
    """The provider of the settings."""
    return FileProvider(settings.kek_directory or state_dir / "datakeys" / "keks")
