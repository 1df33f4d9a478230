"""What transports with a spool share: how a body is written into it, and what is told of a spool that was found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from ingest.schema.errors import IntegrityError, SkytrailError, StoreUnavailable
from ingest.spool import Spool, Ticket

PayloadT = TypeVar("PayloadT", bound=msgspec.Struct)


def encode(payload: msgspec.Struct) -> bytes:
    """The payload of a spool frame."""
    return msgspec.msgpack.encode(payload)


def decode(frame: bytes, kind: type[PayloadT], ticket: Ticket) -> PayloadT:
    """Read the payload of a spool frame.

    Raises:
        IntegrityError: It is whole but not ours: the spool of another program or version.
    """
    try:
        return msgspec.msgpack.decode(frame, type=kind)
    except msgspec.MsgspecError as exc:
        raise IntegrityError(f"reading spool: {exc}", where=str(ticket)) from exc


async def settle(spool: Spool, ticket: Ticket, warn: Callable[[SkytrailError], None]) -> None:
    """Let the spool forget a body; that it could not note so is told."""
    try:
        await spool.done(ticket)
    except StoreUnavailable as exc:
        warn(exc)  # the body is in the brokers; a restart would only deliver it once more


def damage(spool: Spool, directory: Path, *, torn: str, damaged: str) -> IntegrityError | None:
    """What opening a spool found broken in it, if anything.

    Args:
        torn: What to do where only an unfinished body was cut.
        damaged: What to do where bytes were set aside.
    """
    recovery = spool.recovery
    if not (recovery.torn_bytes or recovery.damaged):
        return None
    what = f"recovering spool: {recovery.frames} bodies wait, {recovery.torn_bytes} bytes of an unfinished one cut"
    if recovery.damaged:
        what += f", damaged bytes set aside in {', '.join(path.name for path in recovery.damaged)}"
    return IntegrityError(what, where=str(directory), mend=damaged if recovery.damaged else torn)
