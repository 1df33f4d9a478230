"""Whatever plan is carried out, and whenever, what goes through our code is what the pure policy lets go.

The plans are the worst there can be: they ask to destroy everything, the newest segment too, as if it were over.
"""

from __future__ import annotations

import copy
import datetime as dt
import itertools
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.retention.inventory import segment_facts
from storage.retention.plan import Action, Plan
from storage.retention.policy import Policy
from storage.retention.verdict import DESTROYS, Subject, judge
from storage.verify.archive import check
from tests.storage.archive.samples import START, TOPIC
from tests.storage.retention.people import PEOPLE
from tests.storage.retention.samples import moment, policy
from tests.storage.retention.test_applying import INDEX, Scene

DATASET = "aws.cloudtrail"
NUMBERS = itertools.count()
HOLDS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "of everything": {},
    "of what came later": {"since": "2026-04-01T00:00:00Z"},
    "of other data sets": {"datasets": ("gcp.*",)},
}


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Of one class: with or without a regime, with or without people who must agree."""
    pci = draw(st.booleans())
    hot = draw(st.integers(3 if pci else 1, 30))
    cold = draw(st.integers(max(hot, 12) if pci else hot, 60))
    regimes = {"regimes": ["pci-dss"]} if pci else {}
    approvals = {"expiry": draw(st.sampled_from([0, 0, 1]))}
    return policy(
        {"name": "all", "hot": f"P{hot}M", "cold": f"P{cold}M", **regimes}, people=PEOPLE, approvals=approvals
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("made"))


def greedy(scene: Scene, *, newest: bool) -> Plan:
    """A plan that is to destroy everything, or everything but the newest segment."""
    plan = scene.plan(moment("2099-01-01"))
    last = max(scene.bodies()) - (not newest)
    items = []
    for item in plan.items:
        wanted = Action.DROP_INDEX if item.tier == "hot" else Action.DESTROY_SEGMENTS
        run = {} if item.tier == "hot" else {"first": 0, "last": last}
        items.append(msgspec.structs.replace(item, action=wanted, decision="EXPIRE", blocked="", **run))
    return msgspec.structs.replace(plan, items=tuple(items))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    adopted=st.lists(policies(), max_size=2),
    held=st.sampled_from(sorted(HOLDS)),
    days=st.integers(-400, 2500),
    newest=st.booleans(),
)
def test_what_goes_is_what_the_pure_policy_lets_go(
    made: Scene, tmp_path: Path, adopted: list[Policy], held: str, days: int, *, newest: bool
) -> None:
    root = tmp_path / f"{next(NUMBERS)}"
    shutil.copytree(made.root, root)
    scene = copy.copy(made)
    scene.moved_to(root)
    for told in adopted:
        scene.adopt(told)
    if (selector := HOLDS[held]) is not None:
        scene.hold(**selector)
    now, before = START + dt.timedelta(days=days), scene.bodies()
    scene.apply(greedy(scene, newest=newest), now)
    state = scene.record().now()
    holds = ["case-7"] if held == "of everything" else []
    due = set()
    for seq in before - {max(before)}:
        received = segment_facts(scene.store, "acme", TOPIC, 0, seq).received
        subject = Subject(namespace="acme", dataset=DATASET, event=received, received=received)
        if judge("cold", subject, state.policies, holds, now).decision in DESTROYS:
            due.add(seq)
    assert state.policy is not None
    gone = before - scene.bodies()
    assert gone <= due
    # A group goes as a whole or not at all, and this one is of one day.
    assert bool(gone) == (bool(due) and not newest and not state.policy.approvals.expiry)
    end = moment("2026-03-02")
    of_index = judge(
        "hot", Subject(namespace="acme", dataset=DATASET, event=end, received=end), state.policies, holds, now
    )
    assert (INDEX in scene.indices.present) == (of_index.decision not in DESTROYS)
    assert list(check(root / "archive")) == []
