"""Whatever holds, policies and records there are: a hold wins, no key goes below a minimum, and the verifier agrees."""

from __future__ import annotations

import dataclasses
import datetime as dt
import fnmatch
import functools
import json
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.schema.envelope import Position
from storage.archive.chain import Chain
from storage.archive.manifest import Manifest, instant
from storage.archive.people import Belonging
from storage.retention.entries import Hold, Selector, entry_of, policy_entry
from storage.retention.erasing import KeyFate, plan_erasure
from storage.retention.policy import Policy
from storage.retention.record import State
from storage.retention.verdict import InForce
from storage.verify.ledger.erasures import Erasure, Sealed, is_on_everything, unlawful
from storage.verify.ledger.keeping import Present, reasons
from tests.storage.archive.people import ANN, did, of_people
from tests.storage.archive.samples import START, TOPIC, Clock, header, open_store, seal_in_batches
from tests.storage.datakeys.samples import made_keys
from tests.storage.retention.people import PEOPLE
from tests.storage.retention.samples import policy

DATASET, KEY = "aws.cloudtrail", f"2026-03-0badcafe-{'ab' * 12}-00000001"
DAY = dt.timedelta(days=1)
FEW = st.sampled_from([-31, -2, -1, 0, 1, 2, 31])  # so that what begins and ends often meets
MOMENTS = (FEW | FEW | FEW | st.integers(-400, 400)).map(lambda days: START + days * DAY)
NAMES = st.sampled_from(["", "", "", "", "", "", ANN, "ann", "aws:bob", "111122223333", "nobody"])
RULES: list[dict[str, Any]] = [
    {"name": "short", "cold": "P1M", "hot": "P1M"},
    {"name": "long", "cold": "P9Y", "hot": "P1M"},
    {"name": "cards", "regimes": ["pci-dss"], "hot": "P6M"},
    {"name": "books", "regimes": ["sox"], "cold": "P8Y", "hot": "P1M"},
    {"name": "elsewhere", "datasets": ["gcp.*"], "regimes": ["sox"], "cold": "P8Y", "hot": "P1M"},
    {"name": "two", "regimes": ["hipaa", "pci-dss"], "hot": "P6M", "cold": "P7Y"},
]
ROWS = {"pci-dss": 1, "sox": 7, "hipaa": 6}
"""Years at least, of a regime that a class names."""


@dataclasses.dataclass(frozen=True)
class Did:
    """Something that ann did, and when it came in."""

    event: dt.datetime
    received: dt.datetime


@functools.cache
def sample() -> Manifest:
    """Of a segment; of no matter which."""
    with tempfile.TemporaryDirectory() as folder:
        store, clock = open_store(Path(folder) / "archive"), Clock()
        seal_in_batches(store, of_people(1), [], clock, made_keys(Path(folder) / "keys", by_subject=True))
        chain = Chain(store, "acme", TOPIC, 0)
        chain.restore()
        assert chain.last is not None
        return chain.last


@st.composite
def records(draw: st.DrawFn) -> Did:
    """Received when it happened or up to half a year later, or by a clock that is ahead."""
    event = draw(MOMENTS)
    return Did(event, event + draw(st.sampled_from([-1, 0, 0, 1, 3, 30, 180])) * DAY)


@st.composite
def holds(draw: st.DrawFn) -> Hold:
    datasets = draw(st.sampled_from([("*",), ("aws.*",), ("gcp.*",), ("gcp.*", "aws.cloudtrail")]))
    since, until = (draw(st.none() | MOMENTS.map(instant)) for _ in range(2))
    names = {name: draw(NAMES) for name in ("principal", "account", "resource")}
    chosen = Selector(datasets=datasets, since=since, until=until, **names)
    return Hold(id=f"case-{draw(st.integers(0, 9**9))}", at="", reason="x", placed_by="alice", selector=chosen)


@st.composite
def in_force(draw: st.DrawFn) -> list[InForce]:
    times = sorted(draw(st.lists(MOMENTS, max_size=3, unique=True)))
    return [InForce(at, policy(draw(st.sampled_from(RULES)), people=PEOPLE)) for at in times]


def belonging(number: int, one: Did) -> Belonging:
    told = msgspec.structs.replace(header(), received_at=one.received)
    body = did("ann", number, eventTime=one.event.strftime("%Y-%m-%dT%H:%M:%SZ"))
    return Belonging(key=KEY, position=Position(TOPIC, 0, number, 0), manifest=sample(), header=told, body=body)


def planned(found: list[Did], held: list[Hold], policies: list[InForce], now: dt.datetime) -> KeyFate:
    state = State(policies=policies, holds={each.id: each for each in held})
    (only,) = plan_erasure(
        "acme",
        [KEY],
        iter([belonging(number, each) for number, each in enumerate(found)]),
        state,
        now,
        in_use=lambda _: "",
        segments={},
        present=lambda _: True,
        dataset_of=lambda _: DATASET,
    ).keys
    return only


def covers(hold: Hold, one: Did) -> bool:
    """Whether a hold is about a record, put as plainly as can be: at its event, and whom and what it names."""
    chosen = hold.selector
    within = (chosen.since is None or one.event >= dt.datetime.fromisoformat(chosen.since)) and (
        chosen.until is None or one.event < dt.datetime.fromisoformat(chosen.until)
    )
    names = chosen.principal in ("", "ann", ANN) and chosen.account in ("", "111122223333") and not chosen.resource
    return within and names and any(fnmatch.fnmatchcase(DATASET, each) for each in chosen.datasets)


def minimum(one: Did, policies: list[InForce]) -> dt.datetime:
    """Up to when a regime of any policy in force since a record keeps it; 365 days a year are never too many."""
    years = -10
    for number, each in enumerate(policies):
        ended = number + 1 < len(policies) and policies[number + 1].since <= min(one.event, one.received)
        rule = each.policy.class_of("acme", DATASET)
        if rule is not None and not ended:
            years = max([years, *(ROWS[name] for name in rule.regimes)])
    return max(one.event, one.received) + years * 365 * DAY


@given(
    found=st.lists(records(), min_size=1, max_size=4),
    held=st.lists(holds(), max_size=3, unique_by=lambda each: each.id),
    policies=in_force(),
    now=st.integers(30, 4000).map(lambda days: START + days * DAY),
)
@settings(max_examples=300, deadline=None)
def test_a_hold_always_wins_and_no_key_goes_below_a_minimum(
    found: list[Did], held: list[Hold], policies: list[InForce], now: dt.datetime
) -> None:
    plan = planned(found, held, policies, now)
    if any(covers(hold, one) for hold in held for one in found):
        assert plan.fate == "held"
    if any(now < minimum(one, policies) for one in found):
        assert plan.fate in ("held", "kept")


@given(
    found=st.lists(records(), min_size=1, max_size=4),
    held=st.lists(holds(), max_size=3, unique_by=lambda each: each.id),
    policies=in_force(),
    now=(st.integers(401, 4000) | st.integers(401, 800)).map(lambda days: START + days * DAY),
    sealed=st.integers(0, 60),
)
@settings(max_examples=1_000, deadline=None)
def test_what_the_command_lets_go_the_verifier_never_calls_unlawful(
    found: list[Did], held: list[Hold], policies: list[InForce], now: dt.datetime, sealed: int
) -> None:
    if planned(found, held, policies, now).fate != "erase":
        return
    received = instant(min(each.received for each in found)), instant(max(each.received for each in found))
    told = Erasure(7, instant(now), [_policy(each.policy, each.since) for each in policies], list(map(_hold, held)))
    assert list(unlawful("acme", told, Sealed(DATASET, received, instant(now - sealed * DAY), {ANN}))) == []
    assert not any(is_on_everything(each["selector"]) for each in told.holds)


@given(
    found=st.lists(records(), min_size=1, max_size=4),
    held=st.lists(holds(), max_size=2, unique_by=lambda each: each.id),
    later=st.lists(holds(), max_size=2, unique_by=lambda each: each.id),
    policies=in_force(),
    adopted=st.none() | st.sampled_from(RULES),
    days=st.tuples(st.integers(401, 900) | st.integers(401, 4000), st.sampled_from([0, 1, 40]) | st.integers(0, 900)),
    carried=st.sampled_from(["events", "dead letters"]),
)
@settings(max_examples=1_000, deadline=None)
def test_what_the_command_keeps_after_the_entry_the_verifier_never_calls_kept_against_it(
    found: list[Did],
    held: list[Hold],
    later: list[Hold],
    policies: list[InForce],
    adopted: dict[str, Any] | None,
    days: tuple[int, int],
    carried: str,
) -> None:
    """`later` and `adopted` came after the entry; of dead letters a segment does not tell when they were received."""
    entry = START + days[0] * DAY
    now = entry + days[1] * DAY
    if planned(found, held, policies, entry).fate != "erase":
        return
    since = [*policies, InForce(entry, policy(adopted, people=PEOPLE))] if adopted else policies
    if planned(found, [*held, *later], since, now).fate == "erase":
        return
    received = instant(min(each.received for each in found)), instant(max(each.received for each in found))
    sealed = Sealed(DATASET, received if carried == "events" else None, max(received[1], instant(entry - DAY)), {ANN})
    before = [_policy(each.policy, each.since) for each in policies]
    told = Erasure(7, instant(entry), before, list(map(_hold, held)))
    present = Present(now, [_policy(each.policy, each.since) for each in since], list(map(_hold, [*held, *later])))
    assert list(reasons("acme", told, sealed, present))


def _policy(own: Policy, since: dt.datetime) -> dict[str, Any]:
    return dict(json.loads(policy_entry("acme", since, own)))


def _hold(hold: Hold) -> dict[str, Any]:
    return dict(json.loads(entry_of("acme", START, hold)))
