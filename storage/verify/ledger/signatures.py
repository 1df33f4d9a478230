"""Whether a checkpoint is signed by the keys that must sign it, each within its time, and by nobody unknown."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from storage.verify.ledger.entries import KeyWindow
from storage.verify.ledger.notes import MLDSA44, Checkpoint, Signature, VerifierKey, time_of


@dataclass(frozen=True, slots=True)
class Judged:
    """What the signatures of a checkpoint are worth.

    Attributes:
        wrong: What is wrong with them, in words; nothing when all are right.
        cosigned: When each witness cosigned it, POSIX seconds.
    """

    wrong: list[str] = field(default_factory=list)
    cosigned: dict[VerifierKey, float] = field(default_factory=dict)


def judge(
    checkpoint: Checkpoint,
    keys: Sequence[KeyWindow],
    pinned: Sequence[VerifierKey],
    witnesses: Sequence[VerifierKey],
) -> Judged:
    """Look at every signature.

    Args:
        checkpoint: With its signatures.
        keys: All that the log ever had, as it tells; empty where it can't be read.
        pinned: Keys pinned for this log; they decide where the log can't tell.
        witnesses: Whose cosignatures count.
    """
    judged = Judged()
    required = {(each.key.name, each.key.key_id): each for each in keys if each.signs(checkpoint.size)}
    known = {(each.name, each.key_id): each for each in witnesses}
    seen: set[tuple[str, bytes]] = set()
    for signature in checkpoint.signatures:
        who = (signature.name, signature.key_id)
        named = f"{signature.name} ({signature.key_id.hex()})"
        if who in seen:
            judged.wrong.append(f"signed twice by {named}")
        elif who in required:
            judged.wrong.extend(_of_log(checkpoint, signature, required[who]))
        elif who in known:
            if known[who].signed(checkpoint, signature):
                judged.cosigned[known[who]] = float(time_of(signature))
            else:
                judged.wrong.append(f"the cosignature of {named} is wrong")
        elif required:
            judged.wrong.append(f"signed by {named}: no key of the log at this size, and no witness that it named")
        seen.add(who)
    for who in required.keys() - seen:
        judged.wrong.append(f"not signed by the key {who[1].hex()}")
    if not required and pinned and not any(signed_by(checkpoint, key) for key in pinned):
        judged.wrong.append("not signed by a pinned key")
    return judged


def signed_by(checkpoint: Checkpoint, key: VerifierKey) -> bool:
    """Whether a key signed a checkpoint."""
    signature = key.signature_in(checkpoint.signatures)
    return signature is not None and key.signed(checkpoint, signature)


def _of_log(checkpoint: Checkpoint, signature: Signature, window: KeyWindow) -> list[str]:
    key = window.key
    if not key.signed(checkpoint, signature):
        return [f"the signature of the key {key.key_id.hex()} is wrong"]
    signed_at = _instant(time_of(signature))
    # Signatures tell whole seconds: one made in the second in which its key became valid is not from before.
    if key.algorithm == MLDSA44 and not (window.not_before[:19] <= signed_at[:19] and signed_at < window.not_after):
        return [f"signed at a time at which the key {key.key_id.hex()} was not valid"]
    return []


def _instant(seconds: int) -> str:
    """As the ledger writes times; beyond all of them where there is no such time."""
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    except (ValueError, OverflowError, OSError):
        return "~"
