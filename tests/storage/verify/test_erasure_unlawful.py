"""A person's key that went under a narrower hold, or below a minimum, is found by what the archive still tells."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from storage.retention.entries import Hold, Selector, policy_entry
from storage.verify.findings import Finding, Kind
from storage.verify.ledger.erasures import Erasure, Sealed
from storage.verify.ledger.erasures import unlawful as unlawful_of
from storage.verify.ledger.pins import Pins
from tests.storage.archive.people import ANN, BOB
from tests.storage.retention.samples import moment, policy
from tests.storage.verify.ledger.samples import MadeArchive
from tests.storage.verify.people import announced, clean, key_of, keys_of, made, opener

__all__ = ["clean", "made"]  # fixtures

BEFORE, AFTER = "2026-02-01T00:00:00.000000Z", "2026-03-02T00:00:00.000000Z"
PCI = {"name": "cards", "regimes": ["pci-dss"], "hot": "P6M"}
SOX = {"name": "books", "regimes": ["sox"], "cold": "P8Y", "hot": "P1M"}


def held(**selector: Any) -> Hold:
    return Hold(id="case-7", at="", reason="claim", placed_by="alice", selector=Selector(**selector))


def unlawful(made: MadeArchive, who: str = ANN, *, destroyed: bool = True, **more: Any) -> list[Finding]:
    """What is said when somebody goes past the command."""
    key = key_of(made, who)
    announced(made, key, **more)
    if destroyed:
        keys_of(made).destroy("acme", key)
    return [each for each in made.findings(keys=opener(made)) if each.kind is Kind.UNLAWFUL]


@pytest.mark.parametrize(
    "selector",
    [
        {"datasets": ("aws.*",)},
        {"since": BEFORE},
        {"until": AFTER},
        {"datasets": ("gcp.*", "aws.cloudtrail"), "since": BEFORE, "until": AFTER},
        {"principal": ANN},
        {"principal": ANN, "since": BEFORE},
        {"principal": "AWS:ANN"},
    ],
    ids=["data-set", "since", "until", "all-three", "the-person", "the-person-since", "the-person-in-other-case"],
)
def test_a_hold_that_was_about_it_is_named_once_with_the_key_and_its_first_record(
    made: MadeArchive, selector: dict[str, Any]
) -> None:
    (finding,) = unlawful(made, holds=[held(**selector)])
    assert "while the hold case-7 was open" in finding.detail
    assert "was to be destroyed by entry" in finding.detail
    assert (finding.seq, finding.offset, finding.index) == (0, 0, 0)


@pytest.mark.parametrize(
    "selector",
    [
        {"datasets": ("gcp.*",)},
        {"since": AFTER},
        {"until": BEFORE},
        {"principal": BOB},
        {"principal": "ann"},  # a name: which person it is nobody can tell any more
        {"account": "111122223333"},
        {"resource": "arn:aws:s3:::x"},
    ],
    ids=["other-data-set", "later", "earlier", "somebody-else", "by-name", "account", "resource"],
)
def test_a_hold_that_was_not_or_of_which_nobody_can_tell_is_not_said_to_be_broken(
    made: MadeArchive, selector: dict[str, Any]
) -> None:
    assert unlawful(made, holds=[held(**selector)]) == []


def test_a_hold_on_everything_is_told_at_the_entry_and_not_again_at_each_chain(made: MadeArchive) -> None:
    (finding,) = unlawful(made, holds=[held()])
    assert finding.entry is not None


def test_a_minimum_that_was_not_over_is_told_with_its_row_and_its_end(made: MadeArchive) -> None:
    (finding,) = unlawful(made, rules=[PCI])
    assert "although pci-dss" in finding.detail
    assert finding.detail.endswith("asks for P12M until 2027-03-02")


def test_the_minimum_of_a_policy_that_was_in_force_since_holds_under_a_later_shorter_one(made: MadeArchive) -> None:
    (finding,) = unlawful(made, rules=[SOX, {"name": "x"}])
    assert "although sox" in finding.detail


def test_a_minimum_of_other_data_sets_or_a_period_of_the_organisation_forbids_nothing(made: MadeArchive) -> None:
    rule = {**PCI, "datasets": ["gcp.*"]}
    assert unlawful(made, rules=[rule, {"name": "x", "cold": "P9Y"}]) == []


def test_what_is_still_there_is_judged_too_and_of_a_table_that_is_away_as_well(made: MadeArchive) -> None:
    (finding,) = unlawful(made, destroyed=False, holds=[held(datasets=("aws.*",))])
    found = made.findings(keys=opener(made))
    assert {each.kind for each in found} == {Kind.HELD, Kind.UNLAWFUL}
    source = opener(made)
    source.subjects = None
    assert finding in made.findings(keys=source)


def test_both_are_told_where_both_forbade_it(made: MadeArchive) -> None:
    details = [each.detail for each in unlawful(made, holds=[held(datasets=("aws.*",))], rules=[PCI])]
    assert len(details) == 2


def test_an_erasure_of_an_earlier_epoch_is_lawful_in_the_next(made: MadeArchive) -> None:
    key = key_of(made, ANN)
    announced(made, key)
    keys_of(made).destroy("acme", key)
    pinned = made.pins().keys
    shutil.rmtree(made.root.parent / "keys")
    later = MadeArchive(made.root.parent, epoch=2)
    later.clock.now = made.clock.now
    later.enter("acme")
    found = later.findings(Pins(keys=(*pinned, *later.pins().keys)), keys=opener(made))
    assert [each.kind for each in found if each.kind is not Kind.GAP] == [Kind.ERASED]


@pytest.mark.parametrize(("last", "told"), [("2026-03-04", 1), ("2026-03-06", 0)], ids=["all-before", "some-after"])
def test_a_minimum_that_ended_between_the_records_of_a_segment_is_not_said_of_one_that_may_have_come_later(
    last: str, told: int
) -> None:
    entries = [
        json.loads(policy_entry("acme", moment(day), policy(rule)))
        for day, rule in (("2026-02-01", SOX), ("2026-03-05", {"name": "x"}))
    ]
    erasure = Erasure(7, "2026-06-01T00:00:00.000000Z", entries, [])
    received = ("2026-03-01T00:00:00.000000Z", f"{last}T00:00:00.000000Z")
    assert len(list(unlawful_of("acme", erasure, Sealed("aws.cloudtrail", received, received[1])))) == told
