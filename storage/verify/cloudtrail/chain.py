"""Follows one chain of digests: signatures, links, holes, and whether its newest digest is as new as it must be."""

from __future__ import annotations

import binascii
import bisect
import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from storage.verify.cloudtrail.digest import (
    Digest,
    DigestName,
    Previous,
    WrongDigest,
    metadata_of,
    name_of,
    read_digest,
)
from storage.verify.cloudtrail.keys import PinnedKeys
from storage.verify.findings import Finding, Kind, Site
from storage.verify.places import Place
from storage.verify.scope import Scope

LATE = dt.timedelta(minutes=15)
"""A log file named by a minute may still be listed by the digest of the next hour."""
FRESH = dt.timedelta(hours=2)
"""A digest comes every hour and may be late by one."""
OVERLAP = FRESH + LATE
"""Whoever checked up to a time had log files of this long before it that no digest listed yet."""
_HOUR = dt.timedelta(hours=1)
_SLACK = dt.timedelta(hours=1)
"""AWS looks for keys that were valid this long around the time of a digest."""


@dataclass(slots=True)
class _Stored:
    """A digest as it lies there; `digest` is None when it can't be read."""

    name: DigestName
    digest: Digest | None = None
    metadata: dict[str, str] = field(default_factory=dict)

    def is_named_by(self, previous: Previous) -> bool:
        """Whether another digest means this one; a copy may lie below any prefix of the key."""
        return previous.key == self.name.key or previous.key.endswith(f"/{self.name.key}")

    @property
    def site(self) -> Site:
        return Site(key=self.name.key)


@dataclass(frozen=True, slots=True)
class Judged:
    """A digest, whether what it lists can be believed, and whether it is of the time that was asked for."""

    digest: Digest
    believed: bool
    asked: bool


class Chain:
    """One chain, oldest digest first: the digests that were asked for, and those at both ends of that time.

    The digest after it is read as well, where there is one: it shows what was cut off before it. Of those before it
    nothing is told: they list log files which whoever asked up to this time could not judge.

    Args:
        place: Where it lies.
        names: All its digests, sorted, at least one.
        keys: Pinned keys.
        scope: Which time was asked for.
    """

    def __init__(self, place: Place, names: Sequence[DigestName], keys: PinnedKeys, scope: Scope) -> None:
        self._place = place
        self._keys = keys
        self._since = scope.since
        low, high = _asked(names, scope)
        start = max(0, low - 1) if low == high else low
        while scope.since is not None and start > 0 and names[start - 1].end > scope.since - OVERLAP:
            start -= 1
        self._names = names[start : high + 1]
        self.asked = frozenset(names[low:high])
        self._beyond = names[high] if high < len(names) else None
        self._newest = self._names[0].end

    def check(self) -> Iterator[Finding | Judged]:
        """What is wrong, and every digest that can be read."""
        before: _Stored | None = None
        for name in self._names:
            current = _Stored(name)
            wrong = list(self._read(current))
            yield from self._told(name, wrong)
            if before is not None:
                yield from self._judged(before, current.digest)
            yield from self._links(before, current)
            if all(finding.kind is Kind.UNCHECKED for finding in wrong):
                self._newest = max(self._newest, name.end)
            before = current
        if before is not None:
            yield from self._judged(before, None)

    def staleness(self, now: dt.datetime) -> Iterator[Finding]:
        """Deleting the newest digests with their log files leaves a sound chain: only the clock shows it."""
        last = self._names[-1]
        if not last.backfill and self._newest < now - FRESH:
            detail = (
                f"the newest digest ends at {self._newest:%Y-%m-%dT%H:%M:%SZ}; later ones are gone, or logging was "
                "stopped"
            )
            yield Site(key=last.key).finding(Kind.TRUNCATED, detail)

    def _told(self, name: DigestName, wrong: Iterable[Finding]) -> Iterator[Finding]:
        """Of what is wrong with a digest, what is told to whoever asked for this time."""
        for finding in wrong:
            if name in self.asked or (name == self._beyond and finding.kind is not Kind.UNCHECKED):
                yield finding

    def _read(self, stored: _Stored) -> Iterator[Finding]:
        try:
            stored.metadata = metadata_of(self._place, stored.name.key)
            stored.digest = read_digest(stored.name, self._place.read(stored.name.key) or b"")
        except WrongDigest as exc:
            yield stored.site.finding(Kind.ALTERED, str(exc))
        except OSError as exc:
            yield stored.site.finding(Kind.UNCHECKED, f"reading: {exc.strerror}")

    def _judged(self, stored: _Stored, successor: Digest | None) -> Iterator[Finding | Judged]:
        """The verdict on a digest, once its successor was read: that one, too, tells its signature."""
        if stored.digest is None:
            return
        wrong = list(self._signature(stored, stored.digest, successor))
        yield from self._told(stored.name, wrong)
        asked = stored.name in self.asked
        forged = any(finding.kind is Kind.SIG for finding in wrong)
        yield Judged(stored.digest, believed=not forged if asked else not wrong, asked=asked)
        if asked and forged and stored.digest.files:
            detail = f"its {len(stored.digest.files)} log files are vouched for by nobody"
            yield stored.site.finding(Kind.UNCHECKED, detail)

    def _signature(self, stored: _Stored, digest: Digest, successor: Digest | None) -> Iterator[Finding]:
        told = stored.metadata.get("signature", "")
        previous = successor.previous if successor else None
        if not told and previous is not None and stored.is_named_by(previous):
            told = previous.signature
        if not told:
            yield stored.site.finding(Kind.UNCHECKED, "its signature, metadata of the S3 object, is not in this copy")
            return
        keys = self._keys.named(digest.fingerprint)
        if not keys:
            yield stored.site.finding(Kind.UNCHECKED, f"no pinned key has the fingerprint {digest.fingerprint}")
            return
        try:
            signature = binascii.unhexlify(told)
        except (binascii.Error, ValueError):
            signature = b""
        signing = [key for key in keys if key.signed(signature, digest.signed_text())]
        if not signing:
            yield stored.site.finding(Kind.SIG, "not signed by the key that it names")
            return
        when = _signed_at(stored)
        if when is None:
            yield stored.site.finding(Kind.UNCHECKED, "when it was generated, metadata of S3, is not in this copy")
        elif not any(key.valid_at(when, _SLACK) for key in signing):
            yield stored.site.finding(Kind.SIG, "signed by a key that was not valid then")

    def _links(self, before: _Stored | None, current: _Stored) -> Iterator[Finding]:
        """A digest follows from the one before: its name, hash, signature and end."""
        digest = current.digest
        if digest is None or (self._since is not None and digest.start <= self._since):
            return
        if digest.previous is None:
            if before is not None and not current.name.backfill:
                detail = f"the chain begins anew: nobody vouches for {_span(before.name.end, digest.start)}"
                yield current.site.finding(Kind.GAP, detail)
        elif before is not None and before.is_named_by(digest.previous):
            if before.digest is not None:
                yield from _joint(before, before.digest, digest, digest.previous)
        elif digest.previous.bucket != digest.bucket:
            yield current.site.finding(Kind.UNCHECKED, f"the chain goes back to the bucket {digest.previous.bucket}")
        elif before is None:
            yield from self._start(current, digest, digest.previous)
        else:
            detail = f"all digests of {_span(before.name.end, digest.start)} are gone"
            yield current.site.finding(Kind.MISSING, detail, key=digest.previous.key)

    def _start(self, current: _Stored, digest: Digest, previous: Previous) -> Iterator[Finding]:
        """The oldest digest that is here names one before it."""
        earlier = name_of(previous.key)
        if self._since is not None and earlier is not None and earlier.end <= self._since:
            return
        detail = f"all digests before {digest.start:%Y-%m-%dT%H:%M:%SZ} are gone; were they expired, check --from then"
        yield current.site.finding(Kind.MISSING, detail, key=previous.key)


def _asked(names: Sequence[DigestName], scope: Scope) -> tuple[int, int]:
    """Those of the time that was asked for, as a range of sorted names; where there is none, between which it lies."""
    ends = [name.end for name in names]
    low = 0 if scope.since is None else bisect.bisect_right(ends, scope.since)
    high = len(ends) if scope.until is None else bisect.bisect_left(ends, scope.until + _HOUR)
    return low, max(low, high)


def _joint(before: _Stored, earlier: Digest, later: Digest, previous: Previous) -> Iterator[Finding]:
    """Two digests of which the later names the earlier."""
    if previous.sha256 != earlier.sha256:
        yield before.site.finding(Kind.ALTERED, f"not the bytes that {later.name.key} vouches for")
    told = before.metadata.get("signature", "")
    if told and told.lower() != previous.signature.lower():
        yield before.site.finding(Kind.SIG, f"not the signature that {later.name.key} vouches for")
    if earlier.end != later.start and not later.name.backfill:
        detail = f"no digest is about {_span(earlier.end, later.start)}"
        yield Site(key=later.name.key).finding(Kind.GAP, detail)


def _signed_at(stored: _Stored) -> dt.datetime | None:
    """When a digest was signed: at its end; a backfill when it was generated, None where that is unknown."""
    if not stored.name.backfill:
        return stored.name.end
    try:
        found = dt.datetime.fromisoformat(stored.metadata["backfill-generation-timestamp"])
    except (KeyError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def _span(start: dt.datetime, end: dt.datetime) -> str:
    hours = round((end - start).total_seconds() / 3600)
    return f"{start:%Y-%m-%dT%H:%M:%SZ} to {end:%Y-%m-%dT%H:%M:%SZ} ({hours} h)"
