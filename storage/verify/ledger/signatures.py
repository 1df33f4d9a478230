"""Whether a checkpoint is signed by the keys that must sign it, each within its time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from storage.verify.ledger.entries import KeyWindow
from storage.verify.ledger.notes import MLDSA44, Checkpoint, VerifierKey, time_of


def wrong_signatures(
    checkpoint: Checkpoint, windows: Sequence[KeyWindow], pinned: Sequence[VerifierKey]
) -> Iterator[str]:
    """What is wrong with the signatures of the log, in words.

    Args:
        windows: The keys in force at this size, as the log tells; empty where it can't be read.
        pinned: Keys pinned for this log; they decide where the log can't tell.
    """
    if not windows:
        if pinned and not any(_signed(checkpoint, key) for key in pinned):
            yield "not signed by a pinned key"
        return
    for window in windows:
        key = window.key
        signature = key.signature_in(checkpoint.signatures)
        if signature is None:
            yield f"not signed by the key {key.key_id.hex()}"
        elif not key.signed(checkpoint, signature):
            yield f"the signature of the key {key.key_id.hex()} is wrong"
        elif key.algorithm == MLDSA44 and not window.not_before <= _instant(time_of(signature)) < window.not_after:
            yield f"signed at a time at which the key {key.key_id.hex()} was not valid"


def _signed(checkpoint: Checkpoint, key: VerifierKey) -> bool:
    signature = key.signature_in(checkpoint.signatures)
    return signature is not None and key.signed(checkpoint, signature)


def _instant(seconds: int) -> str:
    """As the ledger writes times; beyond all of them where there is no such time."""
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    except (ValueError, OverflowError, OSError):
        return "~"
