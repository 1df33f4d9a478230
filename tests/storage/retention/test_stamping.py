"""Stamps: made by what was in force at receipt, the same at each replay, and only lengthened by what comes later."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.schema.errors import IntegrityError, StoreUnavailable
from storage.archive.manifest import Retention
from storage.archive.segment import Promise
from storage.ledger.tiles import BUNDLES, WIDTH, tile_path
from storage.retention.adopted import Adopted
from storage.retention.entries import Receipt, Tombstone, entry_of
from storage.retention.inventory import segment_facts
from storage.retention.plan import IndexFacts, SegmentFacts, index_item, segment_verdict
from storage.retention.record import State, policy_digest
from storage.retention.stamping import Stamps, stamp_of
from storage.retention.verdict import Decision, InForce, Subject, limits_of
from storage.verify.archive import check
from storage.verify.findings import Kind
from streams.stamping import AGAIN_S, DocumentStamps, segment_promise
from tests.storage.archive.samples import TOPIC, sealer, stream
from tests.storage.ledger.test_notary import chains_in, notary_in
from tests.storage.retention.samples import moment, policy, since
from tests.storage.retention.test_applying import INDEX, LATER, Scene
from tests.storage.retention.test_verdict import policies, subjects

DATASET = "aws.cloudtrail"
CARDS = {"name": "cards", "regimes": ["pci-dss"], "cold": "P7Y"}


def subject(event: str, received: str = "") -> Subject:
    return Subject(namespace="acme", dataset=DATASET, event=moment(event), received=moment(received or event))


def test_a_stamp_names_policy_and_class_and_both_ends() -> None:
    told = since("2026-01-01", CARDS)
    stamp = stamp_of(subject("2026-03-01"), [told])
    assert stamp is not None
    assert stamp.fields() == {
        "policy": policy_digest(told.policy),
        "class": "cards",
        "hot_until": "2026-06-02T00:00:00.000Z",
        "retain_until": "2033-03-02T00:00:00.000Z",
    }


def test_what_no_policy_or_class_speaks_of_has_no_stamp() -> None:
    assert stamp_of(subject("2026-03-01"), []) is None
    assert stamp_of(subject("2026-03-01"), [since("2026-01-01", {"name": "x", "datasets": ["gcp.*"]})]) is None


@example(  # the row of this regime begins in 2026 and asks for less than what is kept where nothing is said
    Subject(namespace="shop", dataset=DATASET, event=moment("2014-03-31"), received=moment("2014-03-31")),
    [since("2012-03-01", {"name": "x", "regimes": ["cis-kubernetes"]})],
    1294,
    "P1M",
    3000,
)
@given(subjects(), policies(), st.integers(1, 5000), st.sampled_from(["P1M", "P13M", "P5Y"]), st.integers(0, 3000))
def test_no_later_policy_lets_go_of_anything_before_its_stamp(
    told: Subject, before: list[InForce], later: int, period: str, after: int
) -> None:
    known = [each for each in before if each.since <= told.received]
    stamp = stamp_of(told, known)
    if stamp is None:
        return
    changed = told.received + dt.timedelta(days=later)
    further = [*known, InForce(changed, policy({"name": "all", "cold": period}))]
    now = changed + dt.timedelta(days=after)
    assert limits_of("hot", told, further, now).keep.at >= stamp.hot_until
    assert limits_of("cold", told, further, now).keep.at >= stamp.retain_until


def test_a_stamp_that_is_longer_than_the_policy_decides() -> None:
    told = State(policies=[since("2020-01-01", {"name": "all", "cold": "P1M"})])
    facts = SegmentFacts(seq=0, n=1, stored=1, received=moment("2020-06-01"), root="r", manifest="m")
    index = IndexFacts(name=INDEX, uuid="u", documents=1, bytes=1, reach={})
    now = moment("2027-01-01")
    assert segment_verdict("acme", DATASET, facts, told, now).decision is Decision.EXPIRE
    stamped = msgspec.structs.replace(facts, promised=moment("2030-01-01"))
    verdict = segment_verdict("acme", DATASET, stamped, told, now)
    assert (verdict.decision, verdict.because) == (Decision.KEEP, "its own stamp promises to keep it")
    for promised, decision in ((None, Decision.HOT_EXPIRE), (moment("2030-01-01"), Decision.KEEP)):
        item = index_item(msgspec.structs.replace(index, promised=promised), told, {}, now)
        assert item is not None
        assert item.decision == decision


def test_what_is_received_before_a_policy_is_stamped_by_the_one_before_at_each_replay(tmp_path: Path) -> None:
    scene = Scene(tmp_path)  # under RULE since the first of March
    scene.clock.pass_(86_400)
    early, late = scene.clock() - dt.timedelta(hours=1), scene.clock() + dt.timedelta(hours=1)
    adopted = Adopted(scene.store, 60.0, lambda: 0.0)
    stamps = Stamps(adopted)

    def stamp(at: dt.datetime) -> str:
        made = stamps.newest(Subject(namespace="acme", dataset=DATASET, event=at, received=at))
        assert made is not None
        return made.class_name

    adopted.refresh(["acme"])
    first = stamp(early)
    scene.adopt(policy(CARDS))
    assert stamp(late) == "all"  # nobody has looked since
    again = Stamps(Adopted(scene.store, 60.0))
    again.adopted.refresh(["acme"])
    stamps = again
    assert (first, stamp(early), stamp(late)) == ("all", "all", "cards")
    told = Subject(namespace="acme", dataset=DATASET, event=late, received=late)
    assert [each.class_name for each in again.possible(told)] == ["all", "cards"]


def test_the_ledger_is_read_on_when_it_has_grown_beyond_a_bundle_and_only_when_it_is_time(tmp_path: Path) -> None:
    scene, now_s = Scene(tmp_path), [0.0]
    adopted = Adopted(scene.store, 60.0, lambda: now_s[0])
    adopted.refresh(["acme", "nobody"])
    assert (len(adopted.of("acme")), adopted.of("nobody")) == (1, [])
    filler = [entry_of("acme", scene.clock(), Receipt(id=str(number), at="")) for number in range(WIDTH)]
    scene.record().enter(lambda state: [] if state.receipts else filler)
    scene.adopt(policy(CARDS))
    adopted.refresh(["acme"])
    assert len(adopted.of("acme")) == 1
    now_s[0] = 61.0
    assert adopted.stale(["acme"]) == ["acme"]
    adopted.refresh(["acme"])
    assert [each.policy.classes[0].name for each in adopted.of("acme")] == ["all", "cards"]


def test_a_ledger_whose_entries_are_not_those_of_its_checkpoint_gives_no_policy(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    size = scene.record().log.state().edge.size
    bundle = tmp_path / "archive" / scene.record().log.identity.prefix / tile_path(BUNDLES, 0, size)
    bundle.chmod(0o600)
    bundle.write_bytes(bundle.read_bytes().replace(b"P12M", b"P13M"))
    adopted = Adopted(scene.store, 60.0)
    with pytest.raises(IntegrityError, match="do not give its root"):
        adopted.refresh(["acme"])
    assert adopted.of("acme") == []


async def test_documents_go_on_without_a_ledger_that_answers_and_are_stamped_when_it_does(tmp_path: Path) -> None:
    scene = Scene(tmp_path)

    class Away:
        away = True

        def __getattr__(self, name: str) -> Any:
            if self.away:
                raise StoreUnavailable("injected")
            return getattr(scene.store, name)

    store = Away()
    now_s = [0.0]
    stamps = DocumentStamps(Stamps(Adopted(store, 60.0)), lambda: now_s[0])  # type: ignore[arg-type]
    document: dict[str, Any] = {"data_stream": {"namespace": "acme", "dataset": DATASET}, "skytrail": {}}
    at = scene.clock() + dt.timedelta(hours=1)
    await stamps.refresh(["acme"])
    stamps.stamp(document, at, at)
    assert document["skytrail"] == {}
    store.away = False
    await stamps.refresh(["acme"])
    stamps.stamp(document, at, at)
    assert document["skytrail"] == {}  # it has just failed: nobody asks for a while
    now_s[0] = AGAIN_S
    await stamps.refresh(["acme"])
    stamps.stamp(document, at, at)
    assert document["skytrail"]["retention"]["class"] == "all"


def test_a_segment_carries_its_stamp_and_whoever_destroys_it_before_is_found(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    seal_stamped(scene, segment_promise(Stamps(Adopted(scene.store, 60.0)), DATASET), range(6, 9))
    facts = segment_facts(scene.store, "acme", TOPIC, 0, max(scene.bodies()))
    assert facts.promised == moment("2027-03-02")
    longer = Retention(policy="0" * 64, class_name="all", retain_until="2035-03-02T00:00:00.000000Z")
    seal_stamped(scene, lambda _namespace, _received: longer, range(9, 14))
    assert list(check(tmp_path / "archive")) == []
    stamped = segment_facts(scene.store, "acme", TOPIC, 0, max(scene.bodies()) - 1)
    scene.apply(scene.plan())
    assert stamped.seq in scene.bodies()
    assert facts.seq not in scene.bodies()
    forged = Tombstone(
        id="forged",
        at="",
        tier="cold",
        decision="EXPIRE",
        because="",
        until="",
        policy="",
        dataset=DATASET,
        topic=TOPIC,
        segments=(stamped.destroyed,),
    )
    scene.record().enter(lambda s: [] if "forged" in s.tombstones else [entry_of("acme", LATER, forged)])
    (finding,) = check(tmp_path / "archive")
    assert finding.kind is Kind.UNLAWFUL
    assert "its own stamp promises to keep it until 2035-03-02" in finding.detail


def seal_stamped(scene: Scene, promise: Promise, offsets: range) -> None:
    """A segment for each message, entered in the ledgers."""
    one = sealer(scene.store, scene.clock)
    one._promise = promise
    one.restore()
    messages = stream(14)
    for offset in offsets:
        one.add(offset, messages[offset])
        one.seal()
    notary_in(scene.root, scene.clock).record(chains_in(scene.root))
