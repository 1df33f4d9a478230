"""What writers compare and swap, and the staged bundle it names (docs/ledger-format.md). No verifier needs these."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import msgspec

from ingest.schema.errors import IntegrityError
from storage.archive.manifest import canonical, digest
from storage.ledger.entries import KeyInForce, Tip, Tips

VERSION = 1


class Staged(msgspec.Struct, frozen=True, kw_only=True):
    """Where the bundle of an append lies."""

    key: str
    sha256: str


class Lock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The state of a log. Replacing it is what makes a checkpoint binding.

    Attributes:
        checkpoint: Signed note.
        config: Hex SHA-256 of the settings of the newest `config` entry.
        keys: Those that sign now.
    """

    v: int
    checkpoint: str
    staged: Staged
    tips: list[Tip]
    config: str
    keys: list[KeyInForce]

    def encode(self) -> bytes:
        """The bytes that are swapped."""
        return canonical(self)


class _Object(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    body: bytes


class _Bundle(msgspec.Struct, frozen=True, kw_only=True):
    v: int
    size: int
    objects: list[_Object]


def parse_lock(raw: bytes, where: str) -> Lock:
    """Read a lock.

    Raises:
        IntegrityError: It is none of this version.
    """
    try:
        lock = msgspec.json.decode(raw, type=Lock)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise IntegrityError(f"reading the lock of a ledger: {exc}", where=where) from exc
    if lock.v != VERSION:
        raise IntegrityError(
            f"reading the lock of a ledger: version {lock.v} is unknown", where=where, mend="upgrade this worker"
        )
    return lock


def tips_of(lock: Lock) -> Tips:
    """The tips by stream."""
    return {(tip.topic, tip.partition): tip for tip in lock.tips}


def pack_bundle(prefix: str, size: int, objects: Mapping[str, bytes]) -> tuple[Staged, bytes]:
    """The bundle that makes a log of `size` entries, and its place, which follows from its bytes."""
    listed = [{"key": key, "body": base64.b64encode(body).decode()} for key, body in sorted(objects.items())]
    raw = canonical({"v": VERSION, "size": size, "objects": listed})
    sha256 = digest(raw)
    return Staged(key=f"{prefix}staging/{size}-{sha256[:16]}.json", sha256=sha256), raw


def read_bundle(staged: Staged, raw: bytes | None) -> dict[str, bytes]:
    """The objects of a staged bundle.

    Raises:
        IntegrityError: It is missing or is not the one that was staged.
    """
    if raw is None or digest(raw) != staged.sha256:
        state = "is missing" if raw is None else "was changed"
        raise IntegrityError(f"applying a staged bundle of a ledger: it {state}", where=staged.key)
    bundle = msgspec.json.decode(raw, type=_Bundle)
    return {each.key: each.body for each in bundle.objects}
