"""Under which account engines run, and whether that account can reach a path.

Elasticsearch refuses to run as root. Started by root, the engines therefore run as an unprivileged account, which can't
enter root's home nor a directory of mode 0700; everything they read must lie where it can.
"""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from ingest.schema.errors import EngineError

UNPRIVILEGED = "nobody"


@dataclass(frozen=True)
class Account:
    """A user of this machine that owns no login."""

    name: str
    uid: int
    gid: int


def engine_account() -> Account | None:
    """The account that engines are started under, or None: the one who calls.

    Raises:
        EngineError: The caller is root and the unprivileged account does not exist.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(UNPRIVILEGED)
    except KeyError as exc:
        raise EngineError(
            "looking for an account to run Elasticsearch under, which refuses root",
            where=UNPRIVILEGED,
            mend=f"create the user {UNPRIVILEGED}, or run skytrail as an ordinary user",
        ) from exc
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def can_enter(directory: Path, account: Account | None) -> bool:
    """Whether `account` may pass through `directory` and everything above it (a missing tail counts as passable).

    Args:
        directory: An absolute path.
        account: None stands for the caller and is always answered with yes.
    """
    if account is None:
        return True
    resolved = directory.resolve()
    return all(_may_search(path, account) for path in (resolved, *resolved.parents) if path.exists())


def _may_search(directory: Path, account: Account) -> bool:
    found = directory.stat()
    if found.st_uid == account.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == account.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def public_directory(path: Path) -> Path:
    """Create `path` and what is missing above it so that every account may enter, whatever our umask is."""
    for directory in (*reversed(path.parents), path):
        if not directory.exists():
            directory.mkdir(exist_ok=True)
            directory.chmod(0o755)
    return path


def private_directory(path: Path, account: Account | None) -> Path:
    """Create `path` for `account` alone (0700), or take it over if it is there."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    if account is not None:
        os.chown(path, account.uid, account.gid)
    return path


def private_file(path: Path, text: str, account: Account | None = None) -> None:
    """Replace `path` by `text` at once, readable by `account` alone (0600).

    The new file is created exclusively and renamed, so a link planted at `path` is replaced, never followed.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        if account is not None:
            os.fchown(file.fileno(), account.uid, account.gid)
    fresh.replace(path)
