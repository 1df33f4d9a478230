"""What the role rotate tells of itself: its last look, in a compacted topic that `skytrail status` reads."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import msgspec
from aiokafka.errors import KafkaError

from ingest.schema.errors import BrokerUnavailable
from ingest.settings import KafkaSettings
from storage.archive.manifest import instant
from storage.index.disk import Disk
from storage.retention.applying import Outcome
from storage.retention.rotation import Round
from streams.accounts import read_compacted
from streams.topics import ROTATION

KEY = b"rotation"
OFF, DONE, FAILED = "off", "done", "failed"


class DiskReport(msgspec.Struct, frozen=True):
    """How full a node of Elasticsearch is, in percent, and whether that is above the watermark."""

    node: str
    used_percent: float
    warning: bool


class PlanReport(msgspec.Struct, frozen=True):
    """A plan that people must agree to."""

    namespace: str
    path: str
    items: int
    why: str


class RotationReport(msgspec.Struct, frozen=True, kw_only=True):
    """The last look of the leader.

    Attributes:
        at: When it looked.
        round_at: When its last round ended; empty before the first.
        outcome: `off` (no namespace has a policy), `done` or `failed`.
        detail: Why it failed, in words.
        done: Tombstones carried out by that round.
        blocked: Over, and kept all the same.
        undecided: In conflict, or no class speaks of it.
        waiting: Plans that people must agree to.
        overdue_s: For how many seconds the oldest of what is left has been over.
        disks: Of Elasticsearch.
    """

    at: str
    round_at: str = ""
    outcome: str = OFF
    detail: str = ""
    done: int = 0
    blocked: int = 0
    undecided: int = 0
    waiting: tuple[PlanReport, ...] = ()
    overdue_s: float = 0.0
    disks: tuple[DiskReport, ...] = ()


def report_of(found: Round | None, now: dt.datetime) -> RotationReport:
    """The report of a round; None: no namespace has a policy."""
    if found is None:
        return RotationReport(at=instant(now), round_at=instant(now))
    return RotationReport(
        at=instant(now),
        round_at=instant(now),
        outcome=DONE,
        done=found.count(Outcome.DONE),
        blocked=len(found.blocked),
        undecided=found.undecided,
        waiting=tuple(
            PlanReport(each.offer.namespace, str(each.offer.path), len(each.offer.plan.items), each.why)
            for each in found.waiting
        ),
        overdue_s=found.overdue.total_seconds(),
    )


def disk_reports(disks: Sequence[Disk], warning_percent: float) -> tuple[DiskReport, ...]:
    """The disks, with a warning from the watermark on."""
    return tuple(DiskReport(disk.node, round(100 * disk.used, 1), 100 * disk.used >= warning_percent) for disk in disks)


async def read_rotation(kafka: KafkaSettings) -> RotationReport | None:
    """The last report; None where no worker of the role rotate has looked yet.

    Raises:
        BrokerUnavailable: Kafka does not answer.
    """
    try:
        found = [value for key, value in await read_compacted(kafka, ROTATION) if key == KEY]
    except KafkaError as exc:
        raise BrokerUnavailable(f"reading the report of rotation: {exc!r}", where=kafka.bootstrap_servers) from exc
    return msgspec.json.decode(found[-1], type=RotationReport) if found else None
