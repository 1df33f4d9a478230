"""What documents and segments carry about their retention: a promise made when they were written.

A stamp is made by the policies that were in force when a record was received, so a replay makes the same one. It is
never rewritten. What counts for destruction is the later of the stamp and what all policies since say (`verdict`): a
policy that comes later can lengthen what was promised, and never shortens it.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from ingest.document import utc_millis
from storage.archive.manifest import Retention, instant
from storage.archive.store import ArchiveStore
from storage.retention.adopted import Adopted
from storage.retention.record import policy_digest
from storage.retention.verdict import InForce, Subject, limits_of
from storage.settings import RetentionSettings

_MOST = 4096  # stamps that are remembered


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """The promise.

    Attributes:
        policy: Hex SHA-256 of the policy in force, as tombstones have it.
        class_name: Of that policy.
        hot_until: Up to when it is kept in Elasticsearch.
        retain_until: Up to when it is kept in the archive.
    """

    policy: str
    class_name: str
    hot_until: dt.datetime
    retain_until: dt.datetime

    def fields(self) -> dict[str, str]:
        """As `skytrail.retention` of a document."""
        return {
            "policy": self.policy,
            "class": self.class_name,
            "hot_until": utc_millis(self.hot_until),
            "retain_until": utc_millis(self.retain_until),
        }

    def of_segment(self) -> Retention:
        """As `retention` of a manifest."""
        return Retention(policy=self.policy, class_name=self.class_name, retain_until=instant(self.retain_until))


def open_stamps(store: ArchiveStore, settings: RetentionSettings) -> Stamps:
    """Stamps by the ledgers of an archive."""
    return Stamps(Adopted(store, settings.policy_refresh_s))


def stamp_of(subject: Subject, policies: Sequence[InForce]) -> Stamp | None:
    """The stamp by policies that were in force when it was received; None where no class speaks of it."""
    rule = policies[-1].policy.class_of(subject.namespace, subject.dataset) if policies else None
    if rule is None:
        return None
    hot = limits_of("hot", subject, policies, subject.received).keep.at
    cold = limits_of("cold", subject, policies, subject.received).keep.at
    return Stamp(policy=policy_digest(policies[-1].policy), class_name=rule.name, hot_until=hot, retain_until=cold)


class Stamps:
    """Stamps by the policies of the ledgers. Everything of one day has the same, so it is worked out once.

    Args:
        adopted: Gives the policies; whoever asks for stamps refreshes it.
    """

    def __init__(self, adopted: Adopted) -> None:
        self.adopted = adopted
        self._made: dict[tuple[object, ...], Stamp | None] = {}

    def newest(self, subject: Subject) -> Stamp | None:
        """The stamp by everything that is known."""
        policies = self.adopted.of(subject.namespace)
        return self._by(subject, policies[: _begun(policies, subject.received)])

    def possible(self, subject: Subject) -> list[Stamp]:
        """Every stamp that it can have: the newest one last, before it those of a worker that did not know of that yet.

        A worker learns of a policy some seconds after it was adopted.
        """
        policies = self.adopted.of(subject.namespace)
        known = [self._by(subject, policies[:count]) for count in range(1, _begun(policies, subject.received) + 1)]
        return [stamp for stamp in known if stamp is not None]

    def _by(self, subject: Subject, policies: list[InForce]) -> Stamp | None:
        first = min(subject.event, subject.received)
        days = subject.event.astimezone(dt.UTC).date(), subject.received.astimezone(dt.UTC).date()
        key = (subject.namespace, subject.dataset, *days, _begun(policies, first), len(policies))
        if key not in self._made:
            if len(self._made) >= _MOST:
                self._made.clear()
            self._made[key] = stamp_of(subject, policies)
        return self._made[key]


def _begun(policies: Sequence[InForce], moment: dt.datetime) -> int:
    """How many policies were adopted by a moment."""
    return bisect_right(policies, moment, key=lambda each: each.since)
