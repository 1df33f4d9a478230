"""The role rotate: one worker looks, rotates when it is time, and tells what it left."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ingest.schema.errors import ConfigError, IndexUnavailable, SkytrailError
from skytrail.cli.commands.status import warnings_of
from storage.index.disk import Disk
from storage.retention.applying import Outcome, Result
from storage.retention.offers import Offer
from storage.retention.plan import Plan
from storage.retention.rotation import GoOn, Round, Waiting
from storage.settings import RetentionSettings
from streams.agents.rotate import RotateAgent
from streams.rotation import RotationReport
from streams.runtime import Runtime
from streams.topics import ROTATION
from tests.streams.fakes import Brokers, runtime_on

NOW = dt.datetime(2026, 11, 27, tzinfo=dt.UTC)
SETTINGS = RetentionSettings(rotate_interval_s=3600, disk_interval_s=60)
DROPPED = Result(outcome=Outcome.DONE, place="logs-aws.cloudtrail-acme-2026.01.01", tombstone="index/1")


class FakeRounds:
    """Rounds that end as they are told to, or fail."""

    def __init__(self) -> None:
        self.count = 0
        self.outcome: Round | SkytrailError | None = None
        self.full: list[Disk] | SkytrailError = [Disk("n1", 100, 60)]
        self.meanwhile: Callable[[], None] = lambda: None

    def run(self, go_on: GoOn) -> Round | None:
        self.count += 1
        if isinstance(self.outcome, SkytrailError):
            raise self.outcome
        self.meanwhile()
        if self.outcome is not None:
            self.outcome.whole = go_on()
        return self.outcome

    def disks(self) -> list[Disk]:
        if isinstance(self.full, SkytrailError):
            raise self.full
        return self.full


class Role:
    """The agent with a clock of its own."""

    def __init__(self) -> None:
        self.brokers = Brokers()
        self.runtime: Runtime = runtime_on("rotate", self.brokers)
        self.seconds = 1000.0
        self.runtime.progress.clock = lambda: self.seconds
        self.runtime.now = lambda: NOW
        self.runtime.progress.lag = {(ROTATION, 0): 0}
        self.rounds = FakeRounds()
        self.told: list[dict[str, str]] = []
        self.runs = True

        async def tell(reasons: object, details: object) -> None:
            del reasons
            assert isinstance(details, dict)
            self.told.append(details)

        self.agent = RotateAgent(self.runtime, self.rounds, SETTINGS, tell, lambda: self.runs)

    async def look(self, later_s: float = 60.0) -> RotationReport | None:
        self.seconds += later_s
        await self.agent.look()
        sent = self.brokers.values(ROTATION)
        return msgspec.json.decode(sent[-1], type=RotationReport) if sent else None

    def metric(self, name: str, **labels: str) -> float | None:
        return self.runtime.telemetry.registry.get_sample_value(f"skytrail_{name}", labels)


@pytest.fixture
def role() -> Role:
    return Role()


async def test_who_does_not_have_the_first_partition_does_nothing(role: Role) -> None:
    role.runtime.progress.lag = {(ROTATION, 1): 0}
    assert await role.look() is None
    assert role.rounds.count == 0


async def test_without_an_adopted_policy_it_is_off_and_says_so(role: Role) -> None:
    report = await role.look()
    assert report is not None
    assert report.outcome == "off"
    assert role.metric("rotation_rounds_total", outcome="off") == 1
    assert role.told == []


async def test_a_round_is_due_after_its_interval_and_not_before(role: Role) -> None:
    role.rounds.outcome = Round(NOW)
    for _ in range(60):
        await role.look()
    assert role.rounds.count == 1
    await role.look()
    assert role.rounds.count == 2


async def test_what_was_destroyed_is_recorded_as_an_action_of_the_role(role: Role) -> None:
    role.rounds.outcome = Round(NOW, ("acme",), [DROPPED])
    report = await role.look()
    assert report is not None
    assert (report.outcome, report.done) == ("done", 1)
    assert role.told == [{"done": "1", "places": DROPPED.place}]
    assert role.metric("rotation_results_total", outcome="done") == 1
    assert role.metric("rotation_round_timestamp_seconds") == NOW.timestamp()


async def test_a_plan_that_waits_for_people_is_told_in_metric_and_report(role: Role) -> None:
    plan = Plan(v=1, at="2026-11-27T00:00:00.000000Z", policies={}, items=())
    waiting = Waiting(Offer("acme", Path("acme.plan.json"), plan, ""), "2 people must agree")
    role.rounds.outcome = Round(NOW, ("acme",), waiting=[waiting], undecided=3, overdue=dt.timedelta(days=2))
    report = await role.look()
    assert report is not None
    assert [(each.namespace, each.why) for each in report.waiting] == [("acme", "2 people must agree")]
    assert role.metric("rotation_left", why="undecided") == 3
    assert role.metric("rotation_overdue_seconds") == 2 * 86400
    told = "\n".join(warnings_of(report))
    assert "acme.plan.json: 2 people must agree" in told
    assert "over for 2.0 days" in told


async def test_a_disk_above_the_watermark_warns_and_rotates_at_once(role: Role) -> None:
    role.rounds.outcome = Round(NOW)
    await role.look()
    assert role.metric("es_disk_warning", node="n1") == 0
    role.rounds.full = [Disk("n1", 100, 25), Disk("n2", 100, 26)]
    report = await role.look()
    assert report is not None
    assert [(disk.node, disk.used_percent, disk.warning) for disk in report.disks] == [
        ("n1", 75.0, True),
        ("n2", 74.0, False),
    ]
    assert role.rounds.count == 2
    assert role.metric("es_disk_used_ratio", node="n1") == 0.75
    assert role.metric("es_disk_warning", node="n1") == 1
    assert list(warnings_of(report)) == ["warning: the disk of Elasticsearch's node n1 is 75 % full"]
    await role.look()
    assert role.rounds.count == 2  # it stays full: the interval decides again


@pytest.mark.parametrize("error", [IndexUnavailable("asking: away"), ConfigError("asking for the time: 2027")])
async def test_a_round_that_failed_is_told_and_tried_again_at_the_next_look(role: Role, error: SkytrailError) -> None:
    role.rounds.outcome = error
    report = await role.look()
    assert report is not None
    assert report.outcome == "failed"
    assert error.what in report.detail
    assert role.metric("rotation_rounds_total", outcome="failed") == 1
    role.rounds.outcome = Round(NOW)
    report = await role.look()
    assert report is not None
    assert (report.outcome, report.detail) == ("done", "")
    assert role.rounds.count == 2


async def test_disks_that_can_not_be_asked_for_stop_no_round(role: Role) -> None:
    role.rounds.full = IndexUnavailable("asking for the disks: away")
    role.rounds.outcome = Round(NOW)
    report = await role.look()
    assert report is not None
    assert (report.outcome, report.disks) == ("done", ())


@pytest.mark.parametrize("why", ["stopping", "another leads"])
async def test_a_round_is_cut_short_when_the_worker_stops_or_leads_no_longer(role: Role, why: str) -> None:
    def happens() -> None:
        if why == "stopping":
            role.runs = False
        else:
            role.runtime.progress.lag = {}

    role.rounds.outcome = Round(NOW)
    role.rounds.meanwhile = happens
    await role.look()
    assert role.rounds.outcome.whole is False


async def test_a_successor_begins_with_a_round_and_the_former_leader_tells_nothing_old(role: Role) -> None:
    role.rounds.outcome = Round(NOW, undecided=3)
    await role.look()
    role.runtime.progress.lag = {}
    await role.look()
    assert role.metric("rotation_left", why="undecided") is None
    role.runtime.progress.lag = {(ROTATION, 0): 1}
    await role.look(1.0)
    assert role.rounds.count == 2
