"""What an attack story is."""

from __future__ import annotations

from dataclasses import dataclass

from skytrail.demo.audit import AuditEvent
from skytrail.demo.cloudtrail import Event


@dataclass(frozen=True, slots=True)
class Story:
    """One attack.

    Attributes:
        name: Short name with hyphens.
        title: What happens, in one sentence.
        principals: Names that its alerts are about.
        cloudtrail: Its CloudTrail events, in order.
        audit: Its Kubernetes audit events, in order.
    """

    name: str
    title: str
    principals: tuple[str, ...]
    cloudtrail: tuple[Event, ...]
    audit: tuple[AuditEvent, ...] = ()

    @property
    def ids(self) -> frozenset[str]:
        """`eventID` and `auditID` of every event of the story."""
        return frozenset(
            [str(e.record["eventID"]) for e in self.cloudtrail] + [str(e.record["auditID"]) for e in self.audit]
        )
