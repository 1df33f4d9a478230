"""The keys that sign the logs of an installation: a keys file, and a private file of mode 0600 per key beside it.

A pair is one Ed25519 and one ML-DSA-44 key with the same id and the same time window. The same pair signs the logs of
all namespaces; its verifier keys differ, since the origin is in them. From which size on a pair signs a log is told by
the log itself (docs/ledger-format.md, `keychange`).
"""

from __future__ import annotations

import base64
import datetime as dt
import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from ingest.durable_files import replace_durably, sync_directory
from ingest.schema.errors import ConfigError
from storage.archive.manifest import canonical, instant
from storage.ledger.signing import ED25519, MLDSA44, NoteSigner, PrivateKey, VerifierKey

ALGORITHMS = {"ed25519": ED25519, "mldsa44": MLDSA44}
_GENERATE: dict[str, Callable[[], PrivateKey]] = {
    "ed25519": Ed25519PrivateKey.generate,
    "mldsa44": MLDSA44PrivateKey.generate,
}
_PUBLIC_BYTES = {"ed25519": 32, "mldsa44": 1312}
_LOST = "restore the keys from their backup, or read docs/runbook.md#a-signing-key-is-lost-or-leaked"


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key in the keys file.

    Attributes:
        id: Shared by the two keys of a pair.
        private_file: Name of the file beside the keys file.
    """

    id: str
    algorithm: str
    public_key: str
    private_file: str
    not_before: str
    not_after: str


class _KeysFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    v: int
    keys: list[KeyRecord]


class KeyPair:
    """The two keys of one id.

    Args:
        records: Theirs, Ed25519 first.
        directory: Where the private files lie.
    """

    def __init__(self, records: tuple[KeyRecord, ...], directory: Path) -> None:
        self.records = records
        self._directory = directory
        first = records[0]
        self.id, self.not_before, self.not_after = first.id, first.not_before, first.not_after

    def valid_at(self, now: dt.datetime) -> bool:
        """Whether the pair may sign now."""
        return self.not_before <= instant(now) < self.not_after

    def verifier_keys(self, origin: str) -> list[VerifierKey]:
        """The public keys under the name of a log."""
        return [
            VerifierKey(origin, ALGORITHMS[record.algorithm], base64.b64decode(record.public_key))
            for record in self.records
        ]

    def signers(self, origin: str) -> list[NoteSigner]:
        """The private keys under the name of a log.

        Raises:
            ConfigError: A private file is missing, readable by others, or not that of the public key.
        """
        signers = [NoteSigner(origin, read_private(self._directory / record.private_file)) for record in self.records]
        for signer, key in zip(signers, self.verifier_keys(origin), strict=True):
            if signer.key != key:
                raise ConfigError(
                    f"reading the keys of the ledger: a private file of {self.id} is not that of its public key",
                    where=str(self._directory),
                    mend=_LOST,
                )
        return signers


class KeyRing:
    """The keys file. It is read anew each time: `skytrail keys rotate` changes it under running workers.

    Args:
        path: The keys file; its directory has the private files.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def pairs(self) -> list[KeyPair]:
        """All pairs, oldest first.

        Raises:
            ConfigError: The file is missing or no keys file.
        """
        try:
            listed = msgspec.json.decode(self.path.read_bytes(), type=_KeysFile)
        except OSError as exc:
            raise ConfigError(
                f"reading the keys of the ledger: {exc.strerror}",
                where=str(self.path),
                mend=f"`skytrail keys init` makes the first ones; if there were some, {_LOST}",
            ) from exc
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise ConfigError(f"reading the keys of the ledger: {exc}", where=str(self.path), mend=_LOST) from exc
        by_id: dict[str, dict[str, KeyRecord]] = {}
        for record in listed.keys:
            by_id.setdefault(record.id, {})[record.algorithm] = record
        if listed.v != 1 or not by_id or any(set(found) != set(ALGORITHMS) for found in by_id.values()):
            raise ConfigError("reading the keys of the ledger: not pairs of keys", where=str(self.path), mend=_LOST)
        for record in listed.keys:
            if wrong := _wrong_in(record):
                what = f"reading the keys of the ledger: the {record.algorithm} key of {record.id} has {wrong}"
                raise ConfigError(what, where=str(self.path), mend=_LOST)
        pairs = [KeyPair(tuple(found[name] for name in ALGORITHMS), self.path.parent) for found in by_id.values()]
        return sorted(pairs, key=lambda pair: (pair.not_before, pair.id))

    def newest(self, now: dt.datetime) -> KeyPair:
        """The pair that shall sign now: of those valid the one that became so last.

        Raises:
            ConfigError: None is valid, or the file can't be read.
        """
        valid = [pair for pair in self.pairs() if pair.valid_at(now)]
        if not valid:
            raise ConfigError(
                "signing a checkpoint: no key is valid now",
                where=str(self.path),
                mend="`skytrail keys rotate`, or correct the clock of this machine",
            )
        return valid[-1]

    def add(self, now: dt.datetime, *, not_before: dt.datetime, days: int) -> KeyPair:
        """Make a new pair.

        Args:
            now: Goes into its id.
            not_before: From when on it signs.
            days: For how long.

        Raises:
            ConfigError: The files can't be written.
        """
        with self._changing():
            return self._make([record for pair in self.pairs() for record in pair.records], now, not_before, days)

    def add_first(self, now: dt.datetime, *, days: int) -> KeyPair | None:
        """Make the first pair; None if there is one already, made by another worker meanwhile too."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._changing():
            if self.path.exists():
                return None
            return self._make([], now, now, days)

    def _make(self, records: list[KeyRecord], now: dt.datetime, not_before: dt.datetime, days: int) -> KeyPair:
        try:
            ends = instant(not_before + dt.timedelta(days=days))
        except OverflowError as exc:
            what = f"making keys of the ledger: {days} days from {not_before:%Y-%m-%d} on lie beyond all times"
            raise ConfigError(what, mend="choose fewer days") from exc
        identity = f"{now.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        made: list[KeyRecord] = []
        for algorithm in ALGORITHMS:
            private = _GENERATE[algorithm]()
            name = f"{identity}.{algorithm}.pem"
            write_private(self.path.parent / name, private)
            record = KeyRecord(
                id=identity,
                algorithm=algorithm,
                public_key=base64.b64encode(private.public_key().public_bytes_raw()).decode(),
                private_file=name,
                not_before=instant(not_before),
                not_after=ends,
            )
            made.append(record)
        replace_durably(self.path, canonical(_KeysFile(v=1, keys=[*records, *made])))
        return KeyPair(tuple(made), self.path.parent)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One process at a time changes the file."""
        try:
            descriptor = os.open(self.path.parent / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)
        except OSError as exc:
            raise ConfigError(
                f"writing the keys of the ledger: {exc.strerror}",
                where=str(self.path.parent),
                mend="make ledger.keys_file lie in a directory that this user can write",
            ) from exc


def _wrong_in(record: KeyRecord) -> str:
    """What of a record can't be used, in words; empty where all can."""
    try:
        public = base64.b64decode(record.public_key, validate=True)
        for text in (record.not_before, record.not_after):
            if instant(dt.datetime.fromisoformat(text)) != text:
                return f"a time that is none of the ledger's: {text[:40]!r}"
    except (ValueError, OverflowError) as exc:
        return f"a public key or a time that is none: {exc}"
    if len(public) != _PUBLIC_BYTES[record.algorithm]:
        return f"a public key of {len(public)} bytes"
    return "" if Path(record.private_file).name == record.private_file else "a private file that is not beside it"


def write_private(file: Path, private: PrivateKey) -> None:
    """Write a private key as PKCS #8 in PEM, mode 0600; never over another file.

    Raises:
        OSError: It could not be written.
    """
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as handle:  # noqa: PTH123 - a descriptor, opened with its mode
        handle.write(pem)
        handle.flush()
        os.fsync(handle.fileno())
    sync_directory(file.parent)


def read_private(file: Path) -> PrivateKey:
    """Read a private key.

    Raises:
        ConfigError: Missing, readable by others, or no key of ours. The message says nothing of its content.
    """
    try:
        mode = file.stat().st_mode
        body = file.read_bytes()
    except OSError as exc:
        raise ConfigError(f"reading a private key: {exc.strerror}", where=str(file), mend=_LOST) from exc
    if mode & 0o077:
        raise ConfigError(
            f"reading a private key: its mode is {mode & 0o777:04o}, so others may read it",
            where=str(file),
            mend=f"chmod 600 {file}; if others could log in here, rotate: `skytrail keys rotate`",
        )
    try:
        private = serialization.load_pem_private_key(body, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None  # the library's message could quote the file
    if not isinstance(private, Ed25519PrivateKey | MLDSA44PrivateKey):
        raise ConfigError("reading a private key: not an Ed25519 or ML-DSA-44 key in PEM", where=str(file), mend=_LOST)
    return private
