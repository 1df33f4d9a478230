"""The state that writers compare and swap: nobody needs it to verify, but it must not contradict the log."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from storage.verify.findings import Checking, Finding, Kind, Site
from storage.verify.ledger.entries import Told
from storage.verify.ledger.notes import Checkpoint, parse_checkpoint
from storage.verify.ledger.signatures import judge
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


@dataclass(frozen=True, slots=True)
class Lock:
    """The lock as it was read, and what is wrong with it by itself.

    Attributes:
        raw: Its bytes; None where there is none.
        value: What it says, if that can be read; then `checkpoint` is there too.
    """

    place: Place
    root: str
    raw: bytes | None
    value: dict[str, Any] | None
    checkpoint: Checkpoint | None
    wrong: str

    @property
    def key(self) -> str:
        """Where it lies."""
        return f"{self.root}lock.json"

    @property
    def size(self) -> int:
        """Entries of the log that it makes binding; 0 where it can't be read."""
        return self.checkpoint.size if self.checkpoint is not None else 0

    def check(self, told: Told, head: Checkpoint, *, signed: bool, sound: bool) -> Iterator[Finding]:
        """What it says contradicts nothing.

        Args:
            told: What the entries say.
            head: The newest checkpoint whose entries are here.
            signed: It is signed as it must be; else it proves nothing against the lock.
            sound: The entries are those that it covers; else they prove nothing against the lock.
        """
        site = Site(namespace=told.site.namespace, key=self.key)
        if self.raw is None:
            yield site.finding(Kind.MISSING, "writers would begin another log here")
            return
        if self.value is None or self.checkpoint is None:
            yield site.finding(Kind.ALTERED, f"the lock is {self.wrong}")
            return
        staged = yield from self._staged(site)
        size = self.checkpoint.size
        if size < head.size:
            yield site.finding(Kind.ROLLBACK, f"the lock is of {size} entries, the log has {head.size}")
        elif size > head.size:
            yield from self._ahead(site, size, head, staged=staged)
        else:
            yield from self._same(site, self.checkpoint, told, head if signed else None)
            if sound:
                yield from self._told(site, self.value, told)

    def is_current(self) -> bool:
        """Whether no writer has replaced it meanwhile."""
        return self.place.read(self.key) == self.raw

    def _staged(self, site: Site) -> Checking[bool]:
        """Checks the bundle of the newest append; whether it is there and right."""
        assert self.value is not None
        assert self.checkpoint is not None
        key, digest = self.value["staged"]["key"], self.value["staged"]["sha256"]
        if key != f"{self.root}staging/{self.checkpoint.size}-{digest[:16]}.json":
            yield site.finding(Kind.ALTERED, "the lock names a bundle elsewhere")
            return False
        body = self.place.read(key)
        if body is None:
            if self.is_current():
                yield site.finding(Kind.MISSING, "the bundle of the newest append is gone", key=key)
            return False
        if (found := sha256(body)) != digest:
            if found[:16] == digest[:16]:
                yield site.finding(Kind.ALTERED, "the lock names another hash than its bundle has")
            else:
                yield site.finding(Kind.ALTERED, "not the bundle that was staged", key=key)
            return False
        return True

    def _ahead(self, site: Site, size: int, head: Checkpoint, *, staged: bool) -> Iterator[Finding]:
        """The lock is of a larger log: it has grown meanwhile, or an append was stopped, or its end was taken away."""
        if self.place.read(f"{self.root}checkpoint") != head.raw:
            return
        missing = f"entries {head.size} to {size - 1}"
        if staged:
            yield site.finding(Kind.UNCHECKED, f"an append was stopped: {missing} are staged and not yet in the log")
        else:
            detail = f"{missing} are gone: the lock vouches for them"
            yield site.finding(Kind.ROLLBACK, detail, entry=head.size)

    def _same(self, site: Site, checkpoint: Checkpoint, told: Told, head: Checkpoint | None) -> Iterator[Finding]:
        """Its checkpoint is the one that is published, and signed."""
        wrong = judge(checkpoint, told.keys, [], told.witnesses()).wrong
        for detail in wrong:
            yield site.finding(Kind.SIG, detail)
        if head is not None and checkpoint.text != head.text and not wrong:
            yield site.finding(Kind.SPLIT_VIEW, f"the lock has another checkpoint of {head.size} entries")

    def _told(self, site: Site, lock: dict[str, Any], told: Told) -> Iterator[Finding]:
        """It says the same as the entries."""
        if sorted(map(canonical, lock["tips"])) != sorted(map(canonical, _tips(told))):
            yield site.finding(Kind.ALTERED, "the lock tells of other ends of chains than the entries")
        newest = told.configs[-1][1] if told.configs else {}
        if lock["v"] != 1 or lock["config"] != hashlib.sha256(canonical(newest)).hexdigest():
            yield site.finding(Kind.ALTERED, "the lock tells of another version or other settings than the entries")
        if lock["keys"] != _keys(told):
            yield site.finding(Kind.ALTERED, "the lock tells of other keys than the entries")


def read_lock(place: Place, root: str) -> Lock:
    """The lock of the log in a folder."""
    raw = place.read(f"{root}lock.json")
    if raw is None:
        return Lock(place, root, None, None, None, "gone")
    value, wrong = document(raw, _SHAPE)
    if value is None:
        return Lock(place, root, raw, None, None, wrong)
    try:
        return Lock(place, root, raw, value, parse_checkpoint(value["checkpoint"].encode()), "")
    except ValueError as exc:
        return Lock(place, root, raw, None, None, f"without a checkpoint: {exc}")


def _tips(told: Told) -> list[dict[str, object]]:
    return [
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


def _keys(told: Told) -> list[dict[str, object]]:
    return [
        {
            "vkey": str(window.key),
            "not_before": window.not_before,
            "not_after": window.not_after,
            "first_size": window.first_size,
        }
        for window in told.keys
        if window.last_size is None
    ]
