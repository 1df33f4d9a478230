"""Verdicts: nothing below a floor is destroyed, a hold always wins, the same input gives the same verdict."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.retention.periods import Period
from storage.retention.policy import Policy
from storage.retention.regimes import Regime
from storage.retention.verdict import DESTROYS, Decision, InForce, Subject, Tier, judge, limits_of
from tests.storage.retention.samples import moment, policy, since

PCI = {"name": "cards", "regimes": ["pci-dss"]}


def subject(event: str = "2025-11-27", received: str = "", dataset: str = "aws.cloudtrail") -> Subject:
    at = moment(event)
    return Subject(namespace="shop", dataset=dataset, event=at, received=moment(received) if received else at)


@pytest.mark.parametrize(
    ("tier", "now", "decision", "until"),
    [
        ("hot", "2026-02-27T23:59:59", Decision.KEEP, "2026-02-28"),
        ("hot", "2026-02-28", Decision.HOT_EXPIRE, "2026-02-28"),
        ("cold", "2026-11-27T23:59:59", Decision.KEEP, "2026-11-28"),
        ("cold", "2026-11-28", Decision.EXPIRE, "2026-11-28"),
    ],
)
def test_pci_keeps_three_months_hot_and_twelve_in_all(tier: Tier, now: str, decision: Decision, until: str) -> None:
    verdict = judge(tier, subject(), [since("2020-01-01", PCI)], (), moment(now))
    assert (verdict.decision, verdict.until) == (decision, moment(until))
    assert "pci-dss-4.0.1-10.5.1 (Requirement 10.5.1)" in verdict.because


def test_the_longest_minimum_decides() -> None:
    rule = {"name": "all", "regimes": ["pci-dss", "hipaa", "sox"]}
    verdict = judge("cold", subject(), [since("2020-01-01", rule)], (), moment("2030-01-01"))
    assert verdict.decision is Decision.KEEP
    assert verdict.until == moment("2032-11-28")
    assert "sox-210.2-06" in verdict.because


def test_what_no_class_speaks_of_is_kept() -> None:
    rule = {"name": "aws", "datasets": ["aws.*"]}
    verdict = judge("cold", subject(dataset="gcp.audit"), [since("2020-01-01", rule)], (), moment("2090-01-01"))
    assert verdict.decision is Decision.UNKNOWN
    assert "gcp.audit in shop" in verdict.because


def test_without_any_policy_everything_is_kept() -> None:
    assert judge("hot", subject(), [], (), moment("2090-01-01")).decision is Decision.UNKNOWN


def test_the_maximum_is_reached() -> None:
    rule = {"name": "staff", "regimes": ["gdpr"], "cold": "P1Y", "maximum": "P2Y", "purpose": "security"}
    policies = [since("2020-01-01", rule)]
    assert judge("cold", subject(), policies, (), moment("2027-01-01")).decision is Decision.EXPIRE
    verdict = judge("cold", subject(), policies, (), moment("2027-11-28"))
    assert verdict.decision is Decision.MUST_ERASE
    assert "P2Y" in verdict.because
    assert "security" in verdict.because


def test_a_policy_that_promises_less_does_not_shorten_what_is_stored() -> None:
    policies = [since("2020-01-01", {"name": "x", "cold": "P5Y"}), since("2026-01-01", {"name": "x", "cold": "P1Y"})]
    old = judge("cold", subject("2025-11-27"), policies, (), moment("2027-06-01"))
    new = judge("cold", subject("2026-01-02"), policies, (), moment("2027-06-01"))
    assert (old.decision, old.until) == (Decision.KEEP, moment("2030-11-28"))
    assert (new.decision, new.until) == (Decision.EXPIRE, moment("2027-01-03"))


def test_a_policy_that_promises_more_lengthens_what_is_stored() -> None:
    policies = [since("2020-01-01", {"name": "x", "cold": "P1Y"}), since("2026-01-01", {"name": "x", "cold": "P5Y"})]
    assert judge("cold", subject("2025-11-27"), policies, (), moment("2026-12-01")).until == moment("2030-11-28")


def test_what_was_received_under_a_rescinded_memorandum_keeps_its_period() -> None:
    policies = [since("2020-01-01", {"name": "agency", "regimes": ["omb-logging"]})]
    before = judge("cold", subject("2026-05-21"), policies, (), moment("2028-01-01"))
    after = judge("cold", subject("2026-05-22"), policies, (), moment("2028-01-01"))
    assert (before.decision, before.until) == (Decision.KEEP, moment("2028-11-22"))
    assert after.decision is Decision.EXPIRE


def test_a_maximum_that_comes_below_what_was_promised_is_a_conflict_and_nothing_happens() -> None:
    policies = [
        since("2020-01-01", {"name": "x", "cold": "P5Y"}),
        since("2026-01-01", {"name": "x", "cold": "P1Y", "maximum": "P2Y", "purpose": "security"}),
    ]
    verdict = judge("cold", subject("2025-11-27"), policies, (), moment("2028-06-01"))
    assert verdict.decision is Decision.CONFLICT
    assert "P5Y" in verdict.because
    assert "P2Y" in verdict.because


def test_a_late_event_is_never_kept_for_less_than_the_floor_from_when_it_was_received() -> None:
    late = subject("2020-01-01", "2026-01-01")
    verdict = judge("cold", late, [since("2020-01-01", PCI)], (), moment("2026-12-31"))
    assert (verdict.decision, verdict.until) == (Decision.KEEP, moment("2027-01-02"))


def test_the_organisations_own_period_begins_where_the_policy_says() -> None:
    late, rule = subject("2020-01-01", "2026-01-01"), {"name": "x", "cold": "P2Y"}
    by_event = judge("cold", late, [since("2019-01-01", rule)], (), moment("2026-06-01"))
    by_receipt = judge("cold", late, [since("2019-01-01", rule, time="receipt")], (), moment("2026-06-01"))
    assert by_event.decision is Decision.EXPIRE
    assert by_receipt.until == moment("2028-01-02")


def test_with_no_number_anywhere_a_year_is_kept() -> None:
    policies = [since("2020-01-01", {"name": "iso", "regimes": ["iso-27001"]})]
    assert judge("cold", subject(), policies, (), moment("2026-11-27")).until == moment("2026-11-28")


days = st.integers(0, 10_000).map(lambda day: moment("2012-03-01T07:00") + dt.timedelta(days=day))
names = ["pci-dss", "hipaa", "sox", "omb-logging", "iso-27001", "cis-kubernetes"]
regimes = st.lists(st.sampled_from(names), max_size=4)
periods = st.builds(Period, months=st.integers(1, 130), days=st.integers(0, 40))


@st.composite
def policies(draw: st.DrawFn) -> list[InForce]:
    """One to three sound policies, in the order of their days."""
    starts = sorted(draw(st.lists(days, min_size=1, max_size=3, unique=True)))
    found: list[InForce] = []
    for start in starts:
        rule: dict[str, Any] = {"name": "x", "regimes": draw(regimes)}
        floor = max((row.minimum.months for row in policy(rule).regime if row.minimum), default=0) + 2
        if draw(st.booleans()):
            rule["cold"] = str(Period(months=floor + draw(st.integers(0, 30))))
        if draw(st.booleans()):
            rule |= {"maximum": str(Period(months=floor + 30 + draw(st.integers(0, 60)))), "purpose": "security"}
        found.append(InForce(start, policy(rule, time=draw(st.sampled_from(["event", "receipt"])))))
    return found


@st.composite
def subjects(draw: st.DrawFn) -> Subject:
    """Something that was received after it happened, or long after."""
    event = draw(days)
    delay = dt.timedelta(hours=draw(st.integers(0, 30_000)))
    return Subject(namespace="shop", dataset="aws.cloudtrail", event=event, received=event + delay)


tiers = st.sampled_from(["hot", "cold"])


def floor_rows(policy: Policy, tier: Tier) -> list[tuple[Regime, Period]]:
    found = [(row, row.minimum_hot if tier == "hot" else row.minimum) for row in policy.regime]
    return [(row, period) for row, period in found if period is not None]


@given(tiers, subjects(), policies(), days)
def test_nothing_is_destroyed_before_the_minimum_of_a_regime_in_force(
    tier: Tier, subject: Subject, policies: list[InForce], now: dt.datetime
) -> None:
    if judge(tier, subject, policies, (), now).decision not in DESTROYS:
        return
    for row, period in floor_rows(policies[-1].policy, tier):
        if row.in_force(now.date(), now.date()):
            assert now >= period.end(subject.received), row.id
            assert now - subject.received >= dt.timedelta(days=period.days + 28 * period.months)


@given(tiers, subjects(), policies(), days)
def test_a_hold_always_wins(tier: Tier, subject: Subject, policies: list[InForce], now: dt.datetime) -> None:
    verdict = judge(tier, subject, policies, ("case-7",), now)
    assert verdict.decision is Decision.HELD
    assert "case-7" in verdict.because


@given(tiers, subjects(), policies(), days)
def test_the_same_input_gives_the_same_verdict(
    tier: Tier, subject: Subject, policies: list[InForce], now: dt.datetime
) -> None:
    assert judge(tier, subject, policies, (), now) == judge(tier, subject, policies, (), now)


@given(tiers, subjects(), policies(), periods, days)
def test_a_further_policy_never_shortens_what_is_stored(
    tier: Tier, subject: Subject, policies: list[InForce], shorter: Period, now: dt.datetime
) -> None:
    before = limits_of(tier, subject, policies, now)
    last = policies[-1].since
    if subject.event >= last + dt.timedelta(days=1):
        return  # it is stored after the change
    further = InForce(last + dt.timedelta(days=1), policy({"name": "x", "cold": str(shorter)}))
    assert limits_of(tier, subject, [*policies, further], now).keep.at >= before.keep.at


@given(subjects(), policies(), days, st.integers(1, 5000))
def test_a_minimum_only_grows_with_time(
    subject: Subject, policies: list[InForce], now: dt.datetime, later: int
) -> None:
    early = limits_of("cold", subject, policies, now).floor
    late = limits_of("cold", subject, policies, now + dt.timedelta(days=later)).floor
    assert early is None or (late is not None and late.at >= early.at)
