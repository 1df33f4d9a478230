"""The file of the keys of pseudonyms: the newest first, mode 0600, never within the archive."""

from __future__ import annotations

import datetime as dt
import secrets
from pathlib import Path
from typing import Final

import msgspec

from ingest.durable_files import replace_durably
from ingest.pseudonyms.pseudonyms import PseudonymKey, Pseudonyms
from ingest.pseudonyms.settings import PseudonymSettings
from ingest.pseudonyms.tokens import SECRET_BYTES
from ingest.schema.errors import ConfigError

_RESTORE: Final = "restore it from its backup; where there never was one: `skytrail pseudonyms key`"


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    created: str
    secret: bytes


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: tuple[_Kept, ...]
    version: int = 1


def place_of(settings: PseudonymSettings, state_dir: Path) -> Path:
    """Where the keys lie."""
    return settings.key_file or state_dir / "pseudonyms" / "keys.json"


def open_pseudonyms(settings: PseudonymSettings, state_dir: Path, archive_dir: Path) -> Pseudonyms:
    """Pseudonyms for whoever writes documents or tells alerts.

    Raises:
        ConfigError: They are on, and their keys are missing, damaged, readable by others, or within the archive.
    """
    if not settings.namespaces:
        return Pseudonyms()
    keys = read_keys(place_of(settings, state_dir), archive_dir)
    return Pseudonyms(settings.namespaces, settings.kinds, keys)


def open_where_possible(settings: PseudonymSettings, state_dir: Path, archive_dir: Path) -> Pseudonyms:
    """Pseudonyms for whoever compares or asks: without keys where there is no file of them, also where they are off.

    Raises:
        ConfigError: The file is damaged or in an unsafe place.
    """
    place = place_of(settings, state_dir)
    keys = read_keys(place, archive_dir) if place.exists() else ()
    return Pseudonyms(settings.namespaces, settings.kinds, keys)


def read_keys(file: Path, archive_dir: Path) -> tuple[PseudonymKey, ...]:
    """The keys of a file, the newest first. No error says anything of their content.

    Raises:
        ConfigError: See `open_pseudonyms`.
    """
    _refuse_archive(file, archive_dir)
    return tuple(PseudonymKey(kept.secret) for kept in _read(file).keys)


def add_key(file: Path, archive_dir: Path, now: dt.datetime, *, new: bool) -> PseudonymKey:
    """Make a key: the first of a new file, or one that is newer than those of a file that is there.

    Args:
        file: Where.
        archive_dir: Must not hold it.
        now: The present.
        new: Whether there must be no file yet.

    Raises:
        ConfigError: There is a file and must not be, or the other way round, or it can't be written.
    """
    _refuse_archive(file, archive_dir)
    if new and file.exists():
        mend = "nothing is to do; `skytrail pseudonyms rotate` adds a newer key: read docs/retention.md before"
        raise ConfigError("making a key of pseudonyms: there is one", where=str(file), mend=mend)
    before = () if new else _read(file).keys
    made = _Kept(now.astimezone(dt.UTC).isoformat(timespec="seconds"), secrets.token_bytes(SECRET_BYTES))
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_durably(file, msgspec.json.encode(_File((made, *before))) + b"\n")
    except OSError as exc:
        raise ConfigError(f"writing the keys of pseudonyms: {exc.strerror}", where=str(file)) from exc
    return PseudonymKey(made.secret)


def _read(file: Path) -> _File:
    try:
        mode, body = file.stat().st_mode, file.read_bytes()
    except OSError as exc:
        raise ConfigError(f"reading the keys of pseudonyms: {exc.strerror}", where=str(file), mend=_RESTORE) from exc
    if mode & 0o077:
        raise ConfigError(
            f"reading the keys of pseudonyms: their mode is {mode & 0o777:04o}, so others may read them",
            where=str(file),
            mend=f"chmod 600 {file}; if others could log in here: `skytrail pseudonyms rotate`",
        )
    try:
        found = msgspec.json.decode(body, type=_File)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        found = _File(())  # what msgspec says may quote the file
    if found.version != 1 or not found.keys or any(len(kept.secret) != SECRET_BYTES for kept in found.keys):
        raise ConfigError("reading the keys of pseudonyms: the file is damaged", where=str(file), mend=_RESTORE)
    return found


def _refuse_archive(file: Path, archive_dir: Path) -> None:
    if archive_dir.resolve() in file.resolve().parents:
        raise ConfigError(
            "opening the keys of pseudonyms: they lie within the archive, so whoever copies that has them",
            where=str(file),
            mend="move them elsewhere, and name the place in pseudonyms.key_file",
        )
