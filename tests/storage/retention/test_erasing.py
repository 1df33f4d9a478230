"""What becomes of the keys of a person: holds and legal minimums come first, by the times of each record."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from ingest.schema.dead_letter import DeadLetter, encode
from storage.archive.contents import of_letter
from storage.archive.people import records_of_people, segments_of
from storage.archive.sealer import PartitionSealer
from storage.datakeys.keys import DataKeys
from storage.retention.entries import Hold, Selector
from storage.retention.erasing import ErasurePlan, plan_erasure
from storage.retention.record import State
from storage.retention.verdict import InForce
from storage.settings import ArchiveSettings
from tests.storage.archive.people import ANN, did, of_people
from tests.storage.archive.samples import START, Clock, header, open_store, seal_in_batches
from tests.storage.datakeys.samples import made_keys
from tests.storage.retention.samples import policy

LATER = START + dt.timedelta(days=60)
LETTERS = "skytrail.dead_letters.v1"
NONE = policy({"name": "all", "cold": "P1M", "hot": "P1M"})
SOX = policy({"name": "all", "regimes": ["sox"], "cold": "P8Y", "hot": "P1M"})


def dataset_of(topic: str) -> str:
    return "skytrail.dead-letters" if topic == LETTERS else "aws.cloudtrail"


@pytest.fixture
def keys(tmp_path: Path) -> DataKeys:
    clock = Clock()
    made = made_keys(tmp_path / "datakeys", now=clock, by_subject=True)
    seal_in_batches(open_store(tmp_path / "archive"), of_people(), [2], clock, made)
    clock.now = LATER
    return made


def planned(root: Path, keys: DataKeys, state: State) -> ErasurePlan:
    wanted = keys.of_subject("acme", ANN)
    store = open_store(root / "archive")
    found = records_of_people(store, "acme", wanted, keys)
    return plan_erasure(
        "acme",
        wanted,
        found,
        state,
        LATER,
        in_use=lambda key: "it runs" if keys.in_use(key) else "",
        segments=segments_of(store, "acme"),
        present=lambda key: keys.has_subject_key("acme", key),
        dataset_of=dataset_of,
    )


def fates(plan: ErasurePlan) -> list[str]:
    return [each.fate for each in plan.keys]


def test_without_holds_and_minimums_a_key_goes(tmp_path: Path, keys: DataKeys) -> None:
    state = State(policies=[InForce(START - dt.timedelta(days=1), NONE)])
    assert fates(planned(tmp_path, keys, state)) == ["erase"]


def test_a_minimum_that_held_at_the_receipt_of_one_record_keeps_the_key_whatever_came_later_that_day(
    tmp_path: Path, keys: DataKeys
) -> None:
    before, after = START - dt.timedelta(days=1), START + dt.timedelta(seconds=3)
    state = State(policies=[InForce(before, SOX), InForce(after, NONE)])
    (only,) = planned(tmp_path, keys, state).keys
    assert only.fate == "kept"
    assert only.until > "2032"


def letters(root: Path, keys: DataKeys) -> None:
    """A dead letter with a record of ann, sealed a month before the plan."""
    clock = Clock()
    keys._clock = clock
    topic = PartitionSealer(
        open_store(root / "archive"), LETTERS, 0, ArchiveSettings(), clock, records_of=of_letter, keys=keys
    )
    body = did("ann", 99)
    letter = DeadLetter(stage="index", reason="x", message="x", refused_at=START, body=body, size=1, header=header())
    topic.add(0, encode(letter))
    topic.seal()
    clock.now = LATER


@pytest.mark.parametrize("datasets", [("skytrail.dead-letters",), ("aws.*",)])
def test_a_hold_on_dead_letters_or_on_their_records_keeps_the_key(
    tmp_path: Path, keys: DataKeys, datasets: tuple[str, ...]
) -> None:
    letters(tmp_path, keys)
    hold = Hold(id="case-7", at="", reason="x", placed_by="alice", selector=Selector(datasets=datasets))
    state = State(policies=[InForce(START - dt.timedelta(days=1), NONE)], holds={"case-7": hold})
    assert "held" in fates(planned(tmp_path, keys, state))


def test_a_key_that_is_gone_is_gone_even_without_a_record_that_is_left(keys: DataKeys) -> None:
    (key,) = keys.of_subject("acme", ANN)
    keys.destroy("acme", key)
    plan = plan_erasure(
        "acme",
        [key],
        iter(()),
        State(),
        LATER,
        in_use=lambda _: "",
        segments={},
        present=lambda each: keys.has_subject_key("acme", each),
        dataset_of=dataset_of,
    )
    assert fates(plan) == ["gone"]
