"""The keys of this machine: which there are, until when they sign, and who may read their files."""

from __future__ import annotations

import datetime as dt
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.schema.errors import ConfigError
from skytrail.reports.report import Section, Verdict
from skytrail.settings import Settings
from storage.ledger.keyring import KeyRing

_OTHERS = 0o077


@dataclass(frozen=True, slots=True)
class _KeyFile:
    """A file with a secret key.

    Attributes:
        start: From when on it is used; empty where nobody says.
        end: Before when.
    """

    what: str
    path: Path
    start: str = ""
    end: str = ""


def key_files(settings: Settings, now: dt.datetime) -> Section:
    """The section about them; it fails where a file is away, or others than its owner may read it."""
    try:
        found = list(_found(settings))
    except ConfigError as exc:
        found, problem = [], f" The keys of the ledger could not be read: {exc}"
    else:
        problem = ""
    rows = [_row(each, now) for each in found]
    bad = any(not row[-1] for row in rows)
    return Section(
        name="keys",
        title="Keys on this machine, and who may read them",
        verdict=Verdict.FAIL if bad else Verdict.NOT_MEASURED if problem or not rows else Verdict.PASS,
        text=(
            "Whoever may read the file of a key can sign, unwrap or cosign as its owner. Keys on other machines and in "
            f"a key management service are not seen.{problem}"
        ),
        columns=("key", "file", "owner", "mode", "from", "until", "state", "owner alone"),
        rows=tuple(rows),
    )


def _found(settings: Settings) -> Iterator[_KeyFile]:
    if settings.keys_file.exists():
        for pair in KeyRing(settings.keys_file).pairs():
            for key in pair.records:
                what = f"ledger {key.algorithm} {key.id}"
                yield _KeyFile(what, settings.keys_file.parent / key.private_file, key.not_before, key.not_after)
    wrapping = settings.archive.encryption.kek_directory or settings.state_dir / "datakeys" / "keks"
    for path in sorted(wrapping.glob("*.kek")):
        yield _KeyFile(f"wrapping {path.stem}", path)
    for name, file in settings.archive.encryption.secret_files.items():
        yield _KeyFile(f"credentials of {name}", file)
    if settings.witness_key_file.exists():
        yield _KeyFile(f"witness {settings.witness.name}", settings.witness_key_file)


def _row(key: _KeyFile, now: dt.datetime) -> tuple[str | bool, ...]:
    try:
        told = key.path.stat()
    except OSError as exc:
        ended = _state(key, now) == "ended"  # then nobody needs it any more
        state = f"{'ended, ' if ended else ''}not there: {exc.strerror}"
        return (key.what, str(key.path), "", "", key.start, key.end, state, ended)
    alone = not told.st_mode & _OTHERS
    mode = f"{stat.S_IMODE(told.st_mode):04o}"
    return (key.what, str(key.path), _owner(told.st_uid), mode, key.start, key.end, _state(key, now), alone)


def _state(key: _KeyFile, now: dt.datetime) -> str:
    if not key.start:
        return "in use"
    start, end = dt.datetime.fromisoformat(key.start), dt.datetime.fromisoformat(key.end)
    return "to come" if now < start else "signs" if now < end else "ended"


def _owner(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
