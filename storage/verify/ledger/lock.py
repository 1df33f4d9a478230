"""The state that writers compare and swap: nobody needs it to verify, but it must not contradict the log."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from storage.verify.findings import Finding, Kind, Site
from storage.verify.ledger.entries import Told
from storage.verify.ledger.notes import Checkpoint, parse_checkpoint
from storage.verify.ledger.signatures import wrong_signatures
from storage.verify.places import Place
from storage.verify.reading import canonical, document, sha256

_TIP = {
    "topic": "text",
    "partition": "number",
    "seq": "number",
    "last_offset": "number",
    "sha256": "text",
    "at": "text",
}
_KEY = {"vkey": "text", "not_before": "text", "not_after": "text", "first_size": "number"}
_SHAPE: dict[str, object] = {
    "v": "number",
    "checkpoint": "text",
    "staged": {"key": "text", "sha256": "text"},
    "tips": [_TIP],
    "config": "text",
    "keys": [_KEY],
}


def check_lock(place: Place, root: str, told: Told, head: Checkpoint) -> Iterator[Finding]:
    """What the lock says contradicts nothing.

    Args:
        place: The archive.
        root: Folder of the log.
        told: What the entries say.
        head: The newest checkpoint that is stored.
    """
    site = Site(namespace=told.site.namespace, key=f"{root}lock.json")
    raw = place.read(site.key)
    if raw is None:
        yield site.finding(Kind.MISSING, "writers would begin another log here")
        return
    lock, wrong = document(raw, _SHAPE)
    try:
        checkpoint = parse_checkpoint(lock["checkpoint"].encode()) if lock else None
    except ValueError as exc:
        lock, wrong = None, f"without a checkpoint: {exc}"
    if lock is None or checkpoint is None:
        yield site.finding(Kind.ALTERED, f"the lock is {wrong}")
        return
    staged = place.read(lock["staged"]["key"]) if lock["staged"]["key"].startswith(f"{root}staging/") else None
    if staged is not None and sha256(staged) != lock["staged"]["sha256"]:
        yield site.finding(Kind.ALTERED, "not the bundle that was staged", key=lock["staged"]["key"])
        staged = None
    if checkpoint.size < head.size:
        yield site.finding(Kind.ROLLBACK, f"the lock is of {checkpoint.size} entries, the log has {head.size}")
    elif checkpoint.size > head.size:
        yield from _ahead(place, site, checkpoint, head, root, staged=staged is not None)
    else:
        yield from _same(site, lock, checkpoint, told, head)


def _ahead(
    place: Place, site: Site, checkpoint: Checkpoint, head: Checkpoint, root: str, *, staged: bool
) -> Iterator[Finding]:
    """The lock is of a larger log: it has grown meanwhile, or an append was stopped, or its end was taken away."""
    now = place.read(f"{root}checkpoint") or b""
    if now != head.raw:
        return
    missing = f"entries {head.size} to {checkpoint.size - 1}"
    if staged:
        yield site.finding(Kind.UNCHECKED, f"an append was stopped: {missing} are staged and not yet in the log")
    else:
        yield site.finding(Kind.ROLLBACK, f"{missing} are gone: the lock vouches for them", entry=head.size)


def _same(site: Site, lock: dict[str, Any], checkpoint: Checkpoint, told: Told, head: Checkpoint) -> Iterator[Finding]:
    if checkpoint.text != head.text:
        yield site.finding(Kind.SPLIT_VIEW, f"the lock has another checkpoint of {head.size} entries")
    for detail in wrong_signatures(checkpoint, told.signing(checkpoint.size), []):
        yield site.finding(Kind.SIG, detail)
    tips = [
        {
            "topic": topic,
            "partition": partition,
            "seq": stream.count - 1,
            "last_offset": stream.last_offset,
            "sha256": stream.digest(stream.count - 1),
            "at": stream.named_text,
        }
        for (topic, partition), stream in told.streams.items()
    ]
    if sorted(map(canonical, lock["tips"])) != sorted(map(canonical, tips)):
        yield site.finding(Kind.ALTERED, "the lock tells of other ends of chains than the entries")
    newest = told.configs[-1][1] if told.configs else {}
    if lock["config"] != hashlib.sha256(canonical(newest)).hexdigest():
        yield site.finding(Kind.ALTERED, "the lock tells of other settings than the entries")
    keys = [
        {
            "vkey": str(window.key),
            "not_before": window.not_before,
            "not_after": window.not_after,
            "first_size": window.first_size,
        }
        for window in told.keys
        if window.last_size is None
    ]
    if lock["keys"] != keys:
        yield site.finding(Kind.ALTERED, "the lock tells of other keys than the entries")
