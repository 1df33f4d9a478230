"""A person's key that stays after the entry that it goes: lawful where the ledger says why, else it is told."""

from __future__ import annotations

import dataclasses
import datetime as dt
import errno
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from storage.archive.sealer import PartitionSealer
from storage.retention.approval import Request, approve, ask
from storage.retention.entries import Hold, Release, Selector, entry_of, policy_entry
from storage.retention.record import Record
from storage.settings import ArchiveSettings
from storage.verify.archive import examine
from storage.verify.findings import Finding, Grade, Kind, Summary
from storage.verify.groups import spellings
from storage.verify.places import Directory
from storage.verify.scope import Scope
from tests.storage.archive.people import ANN, BOB, of_people
from tests.storage.archive.samples import TOPIC
from tests.storage.retention.people import PEOPLE, SIGNERS
from tests.storage.retention.samples import policy
from tests.storage.verify.ledger.samples import MadeArchive, writable
from tests.storage.verify.people import announced, clean, erased, key_of, keys_of, made, month_of, opener, part

__all__ = ["clean", "made"]  # fixtures

DAY = 86_400
BEFORE, AFTER = "2026-02-01T00:00:00.000000Z", "2026-03-04T00:00:00.000000Z"
PCI = {"name": "cards", "regimes": ["pci-dss"], "hot": "P6M"}
ELSEWHERE = "skytrail.raw.gcp.audit.v1"


def enter(made: MadeArchive, *entries: bytes) -> None:
    left = list(entries)
    Record(made.store, made.log()).enter(lambda _: [left.pop(0)] if left else [])
    writable(made.root)


def hold(made: MadeArchive, id_: str = "case-9", **selector: Any) -> None:
    """Placed an hour later."""
    made.clock.pass_(3600)
    placed = Hold(id=id_, at="", reason="claim", placed_by="alice", selector=Selector(**selector))
    enter(made, entry_of("acme", made.clock(), placed))


def adopt(made: MadeArchive, rule: Mapping[str, Any]) -> None:
    """A policy comes into force an hour later."""
    made.clock.pass_(3600)
    enter(made, policy_entry("acme", made.clock(), policy(dict(rule), people=PEOPLE)))


def seal(made: MadeArchive, offsets: Iterable[int], topic: str = TOPIC) -> None:
    """Messages of the old month are sealed now, and their segment is entered; in another topic its first."""
    one = PartitionSealer(made.store, topic, 0, ArchiveSettings(), made.clock, keys=keys_of(made))
    one.restore()
    messages = of_people(max(offsets, default=0) + 1)
    for offset in offsets:
        one.add(offset, messages[offset])
    one.seal()
    if topic == TOPIC:
        made.enter("acme")
    else:
        enter(made, (made.root / f"acme/seg/{topic}/0/000000000000.manifest.json").read_bytes())
    writable(made.root)


def found(made: MadeArchive, **scope: Any) -> list[Finding]:
    """What is found beside the silence of a ledger that nobody beats."""
    chosen = Scope(**{"pins": made.pins(), "now": made.clock(), "keys": opener(made), **scope})
    return [each for each in examine(Directory(made.root), chosen) if each.kind is not Kind.GAP]


def release(made: MadeArchive, *signers: str) -> bytes:
    """The entry that a hold is released, asked for and agreed to."""
    told = Request(
        action="release",
        namespace="acme",
        subject="case-9",
        reason="settled",
        requested_by=signers[0],
        at="2026-04-11T00:00:00Z",
    )
    raw = ask(told, SIGNERS[signers[0]])
    for name in signers[1:]:
        raw = approve(raw, SIGNERS[name], "test")
    return entry_of("acme", made.clock(), Release(id="case-9", at="", request=raw.decode()))


@dataclasses.dataclass(frozen=True)
class Silent(Directory):
    """An archive that does not answer for one object."""

    name: str = ""

    def read(self, key: str) -> bytes | None:
        if key.endswith(self.name):
            raise OSError(errno.EIO, "no answer", key)
        return super().read(key)


@pytest.fixture
def kept(made: MadeArchive) -> MadeArchive:
    """The ledger says that ann's key goes; it is there."""
    announced(made, key_of(made, ANN))
    return made


def test_without_a_reason_in_the_ledger_it_is_kept_and_that_is_tampered(kept: MadeArchive) -> None:
    (finding,) = found(kept)
    assert (finding.kind, finding.grade, finding.offset) == (Kind.KEPT, Grade.TAMPERED, 0)


@pytest.mark.parametrize(
    "selector",
    [
        {},
        {"datasets": ("aws.*",)},
        {"since": BEFORE},
        {"until": AFTER},
        {"principal": ANN},
        {"principal": "AWS:Ann"},
    ],
    ids=["everything", "data-set", "since", "until", "the-person", "the-person-in-other-case"],
)
def test_a_hold_that_came_after_the_entry_keeps_it_lawfully(kept: MadeArchive, selector: dict[str, Any]) -> None:
    hold(kept, **selector)
    (finding,) = found(kept)
    assert (finding.kind, finding.grade, finding.seq, finding.offset, finding.index) == (
        Kind.HELD,
        Grade.LAWFUL,
        0,
        0,
        0,
    )
    assert "the hold case-9 is open; 12 records" in finding.detail
    assert key_of(kept, ANN) in finding.detail


def test_it_counts_as_explained(kept: MadeArchive) -> None:
    hold(kept)
    kept.beat("acme")
    summary = Summary()
    kept.findings(summary=summary, keys=opener(kept))
    assert (summary.lawful, summary.tampered) == (1, False)


@pytest.mark.parametrize(
    "selector",
    [{"principal": "ann"}, {"principal": BOB}, {"account": "111122223333"}, {"resource": "arn:aws:s3:::x"}],
    ids=["by-name", "somebody-who-may-be-named-in-it", "account", "resource"],
)
def test_of_a_hold_of_which_nobody_can_tell_it_is_said_that_it_is_not_known(
    kept: MadeArchive, selector: dict[str, Any]
) -> None:
    hold(kept, **selector)
    (finding,) = found(kept)
    assert (finding.kind, finding.grade) == (Kind.UNCHECKED, Grade.INCOMPLETE)
    assert "the hold case-9, which is open, may be about it" in finding.detail


@pytest.mark.parametrize(
    "selector", [{"datasets": ("gcp.*",)}, {"since": AFTER}], ids=["other-data-set", "of-what-came-later"]
)
def test_a_hold_about_something_else_excuses_nothing(kept: MadeArchive, selector: dict[str, Any]) -> None:
    hold(kept, **selector)
    assert [each.kind for each in found(kept)] == [Kind.KEPT]


def test_a_hold_by_a_name_that_was_open_at_the_entry_was_judged_then_and_excuses_nothing(made: MadeArchive) -> None:
    hold(made, principal="bob")
    announced(made, key_of(made, ANN))
    assert [each.kind for each in found(made)] == [Kind.KEPT]


def test_a_hold_that_was_released_keeps_nothing_and_a_release_that_nobody_agreed_to_releases_nothing(
    kept: MadeArchive,
) -> None:
    hold(kept)
    kept.clock.pass_(3600)
    enter(kept, release(kept, "alice"))
    assert {each.kind for each in found(kept)} == {Kind.HELD, Kind.UNLAWFUL}
    enter(kept, release(kept, "alice", "bob", "carol"))
    assert {each.kind for each in found(kept)} == {Kind.KEPT, Kind.UNLAWFUL}


def test_a_minimum_that_came_after_the_entry_keeps_it_until_its_end(kept: MadeArchive) -> None:
    adopt(kept, PCI)
    (finding,) = found(kept)
    assert finding.kind is Kind.HELD
    assert "pci-dss" in finding.detail
    assert "asks for P12M, until 2027-03-02; 12 records" in finding.detail
    over = dt.datetime(2027, 3, 2, tzinfo=dt.UTC)
    assert Kind.HELD in {each.kind for each in found(kept, now=over - dt.timedelta(seconds=1))}
    later = {each.kind for each in found(kept, now=over + dt.timedelta(days=2))}
    assert Kind.KEPT in later
    assert Kind.HELD not in later


def test_by_how_much_something_happened_after_it_came_nobody_can_tell(kept: MadeArchive) -> None:
    adopt(kept, PCI)
    kinds = {each.kind for each in found(kept, now=dt.datetime(2027, 3, 2, 12, tzinfo=dt.UTC))}
    assert kinds == {Kind.UNCHECKED}


def test_a_minimum_for_other_data_sets_excuses_nothing(kept: MadeArchive) -> None:
    adopt(kept, {**PCI, "datasets": ["gcp.*"]})
    assert [each.kind for each in found(kept)] == [Kind.KEPT]


def test_records_that_it_sealed_after_the_entry_are_no_crime_and_it_is_said_what_to_do(kept: MadeArchive) -> None:
    kept.clock.pass_(3600)
    seal(kept, range(6, 8))
    (finding,) = [each for each in found(kept) if each.kind is not Kind.MISSING]
    assert (finding.kind, finding.grade) == (Kind.UNCHECKED, Grade.INCOMPLETE)
    assert "it sealed records after that entry" in finding.detail
    assert "`skytrail erase apply` again" in finding.detail


def test_what_is_in_one_chain_keeps_the_key_in_all(made: MadeArchive) -> None:
    seal(made, range(2), ELSEWHERE)
    announced(made, key_of(made, ANN))
    hold(made, datasets=("gcp.*",))
    findings = found(made)
    assert [(each.kind, each.topic) for each in findings] == [(Kind.HELD, TOPIC), (Kind.HELD, ELSEWHERE)]
    assert "12 records" in next(each.detail for each in findings if each.topic == TOPIC)


def test_where_only_some_segments_are_read_nobody_is_accused(kept: MadeArchive) -> None:
    last = dt.datetime(2026, 3, 1, 12, 0, 5, tzinfo=dt.UTC)
    (finding,) = found(kept, since=last)
    assert finding.kind is Kind.UNCHECKED
    assert "not all that it may have sealed was read" in finding.detail
    hold(kept)
    assert [each.kind for each in found(kept, since=last)] == [Kind.HELD]


def test_where_a_segment_can_not_be_read_nobody_is_accused(kept: MadeArchive) -> None:
    scope = Scope(pins=kept.pins(), now=kept.clock(), keys=opener(kept))
    place = Silent(kept.root, part(kept, 1, ".ndz").name)
    findings = [each for each in examine(place, scope) if each.kind is not Kind.GAP]
    assert [(each.kind, each.seq) for each in findings] == [(Kind.UNCHECKED, 1), (Kind.UNCHECKED, 0)]
    assert "not all that it may have sealed was read" in findings[1].detail


def test_a_copy_is_judged_as_of_when_it_was_made(kept: MadeArchive) -> None:
    adopt(kept, PCI)
    copied, years = kept.clock(), dt.timedelta(days=2_000)
    assert [each.kind for each in found(kept, now=copied + years, until=copied)] == [Kind.HELD]


def test_a_second_entry_after_the_hold_is_what_counts(kept: MadeArchive) -> None:
    kept.clock.pass_(3600)
    seal(kept, range(6, 8))
    announced(kept, key_of(kept, ANN))
    assert [each.kind for each in found(kept)] == [Kind.KEPT]  # what came late was judged for it
    keys_of(kept).destroy("acme", key_of(kept, ANN))
    assert [each.kind for each in found(kept)] == [Kind.ERASED]


def test_the_key_of_a_month_is_kept_lawfully_by_any_hold_of_its_namespace(made: MadeArchive) -> None:
    announced(made, month_of(made).id)
    assert [each.kind for each in found(made)] == [Kind.KEPT]
    hold(made, principal="bob")
    (finding,) = found(made)
    assert (finding.kind, finding.grade) == (Kind.HELD, Grade.LAWFUL)


def test_somebody_erased_stays_erased_whatever_is_held_later(made: MadeArchive) -> None:
    erased(made, ANN)
    hold(made)
    assert [each.kind for each in found(made)] == [Kind.ERASED]


@pytest.mark.parametrize(
    ("typed", "recorded"),
    [
        ("AWS:aidaexample", "aws:AIDAEXAMPLE"),
        ("Entra:0B1C", "entra:0b1c"),
        ("GCP:Alice@Example.com", "gcp:alice@example.com"),
        ("aws:arn:aws:iam::1:user/Alice", "aws:arn:aws:iam::1:user/Alice"),
        ("AWS:arn:aws:iam::1:user/Alice", "aws:arn:aws:iam::1:user/Alice"),
        ("ALICE", "alice"),
    ],
)
def test_spellings_of_a_name_are_those_of_clouds_and_the_typed_one(typed: str, recorded: str) -> None:
    assert recorded in spellings(typed)
    assert typed in spellings(typed)
    assert {each.casefold() for each in spellings(typed)} == {typed.casefold()}


def test_a_spelling_that_is_another_name_is_none() -> None:
    assert spellings("aws:ı") == {"aws:ı"}  # in upper case an I, which is another letter's
