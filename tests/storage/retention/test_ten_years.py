"""Ten years of rotation, month by month: what is there always equals what the pure policy says, and then verifies."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
import pytest

from ingest.schema.envelope import Envelope, encode
from skytrail.deleting import spanned, unsound
from storage.archive.chain import Chain
from storage.archive.sealer import PartitionSealer
from storage.index.names import index_name
from storage.ledger.keyring import KeyRing
from storage.retention.applying import Means, Outcome
from storage.retention.approval import Request, approve, ask
from storage.retention.entries import Hold, Release, Selector, entry_of, policy_entry
from storage.retention.inventory import chains
from storage.retention.offers import Offers
from storage.retention.plan import IndexFacts, chain_items, index_item, make_plan
from storage.retention.policy import Policy
from storage.retention.record import Record
from storage.retention.rotation import Round, rotate
from storage.retention.verdict import DESTROYS, InForce, Subject, Tier, judge
from storage.settings import ArchiveSettings
from storage.verify.archive import check
from streams.naming import dataset_of
from tests.storage.archive.samples import TOPIC, Clock, header
from tests.storage.ledger.test_notary import notary_in, store_in
from tests.storage.retention.people import PEOPLE, SIGNERS
from tests.storage.retention.samples import moment, policy
from tests.storage.retention.test_applying import Indexes

DATASET = "aws.cloudtrail"
FIRST = policy({"name": "all", "hot": "P6M", "cold": "P2Y"}, people=PEOPLE)
LONGER = policy({"name": "all", "regimes": ["pci-dss"], "hot": "P9M", "cold": "P3Y"}, people=PEOPLE)
SHORTER = policy({"name": "all", "hot": "P1M", "cold": "P13M"}, people=PEOPLE)
MONTHS = 120


class Decade:
    """One segment and one index a month."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = Clock(moment("2027-01-01"))
        KeyRing(root / "keys" / "keys.json").add_first(self.clock(), days=4000)
        self.store = store_in(root)
        self.sealer = PartitionSealer(self.store, TOPIC, 0, ArchiveSettings(), self.clock)
        self.sealer.restore()
        self.notary = notary_in(root, self.clock, heartbeat_interval_s=40 * 86_400)  # it is told of once a month
        self.indices = Indexes()
        self.offers = Offers(root / "state")
        self.subjects: dict[int, Subject] = {}
        self.ends: dict[str, Subject] = {}
        self.record: Record = Record(self.store, self.notary.log("acme"))
        self.policies: list[InForce] = []
        self.held = False

    def arrive(self, number: int) -> None:
        """What one month brings."""
        at = self.clock.now
        of = msgspec.structs.replace(header(), received_at=at)
        self.sealer.add(number, encode(Envelope(header=of, records=(f'{{"id":"{number}"}}'.encode(),))))
        self.sealer.seal()
        chain = Chain(self.store, "acme", TOPIC, 0)
        chain.restore()
        self.notary.record([chain])
        name = index_name(DATASET, "acme", at, "month")
        facts = IndexFacts(
            name=name, uuid=f"u{number}", documents=1, bytes=1, received=at, reach={(TOPIC, 0): (number, number)}
        )
        self.indices.present[name] = facts
        end = next_month(at)
        self.ends[name] = Subject(namespace="acme", dataset=DATASET, event=end, received=end)
        self.subjects[number] = Subject(namespace="acme", dataset=DATASET, event=at, received=at)

    def adopt(self, told: Policy) -> None:
        self.record.enter(lambda s: [] if s.policy == told else [policy_entry("acme", self.clock(), told)])
        self.policies.append(InForce(self.clock(), told))

    def hold(self) -> None:
        told = Hold(id="case-7", at="", reason="x", placed_by="alice", selector=Selector())
        self.record.enter(lambda s: [] if s.holds else [entry_of("acme", self.clock(), told)])
        self.held = True

    def release(self) -> None:
        asked = Request(
            action="release", namespace="acme", subject="case-7", reason="x", requested_by="alice", at="2031-01-01"
        )
        raw = ask(asked, SIGNERS["alice"])
        for name in ("bob", "carol"):
            raw = approve(raw, SIGNERS[name], "test")
        told = Release(id="case-7", at="", request=raw.decode())
        self.record.enter(lambda s: [] if s.releases else [entry_of("acme", self.clock(), told)])
        self.held = False

    def round(self) -> Round:
        now, state = self.clock(), self.record.now()
        tips = self.record.log.state().tips
        items = []
        for chain in chains(self.store, "acme", tips, state.destroyed(), dataset_of):
            items += chain_items("acme", chain, state, now)
        sealed = {place: tip.last_offset for place, tip in tips.items()}
        for facts in self.indices.present.values():
            items += filter(None, [index_item(facts, state, sealed, now)])
        means = Means(
            store=self.store,
            indices=self.indices,
            dataset_of=dataset_of,
            unsound=lambda *place: unsound(self.store, *place),
            spanned=lambda *place: spanned(self.store, *place),
            witnessed=lambda _namespace, _size: True,
            clock=self.clock,
        )
        return rotate({"acme": self.record}, means, make_plan(now, {"acme": state}, items), self.offers)

    def goes(self, tier: Tier, subject: Subject) -> bool:
        """What the pure policy says."""
        holds = ["case-7"] if self.held else []
        return judge(tier, subject, self.policies, holds, self.clock()).decision in DESTROYS

    def bodies(self) -> set[int]:
        folder = self.root / "archive" / "acme" / "seg" / TOPIC / "0"
        return {int(path.name[:12]) for path in folder.glob("*.ndz")}


def next_month(day: dt.datetime) -> dt.datetime:
    first = (day.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
    return dt.datetime.combine(first, dt.time(), dt.UTC)


@pytest.fixture
def decade(tmp_path: Path) -> Decade:
    return Decade(tmp_path)


def test_in_every_month_of_ten_years_there_is_exactly_what_the_policy_keeps(decade: Decade) -> None:
    events = {
        0: lambda: decade.adopt(FIRST),
        30: lambda: decade.adopt(LONGER),
        50: decade.hold,
        70: decade.release,
        90: lambda: decade.adopt(SHORTER),
    }
    hot: set[str] = set()
    cold: set[int] = set()
    most = 0
    for month in range(MONTHS):
        decade.arrive(month)
        events.get(month, lambda: None)()
        found = decade.round()
        assert {result.outcome for result in found.results} <= {Outcome.DONE}
        hot = {*hot, *list(decade.ends)[-1:]}
        cold = {*cold, month}
        hot = {name for name in hot if not decade.goes("hot", decade.ends[name])}
        # The newest stays whatever its age: the sealer goes on from it.
        cold = {seq for seq in cold if seq == month or not decade.goes("cold", decade.subjects[seq])}
        assert set(decade.indices.present) == hot, f"month {month}"
        assert decade.bodies() == cold, f"month {month}"
        most = max(most, len(cold))
        decade.clock.now = next_month(decade.clock.now)
    state = decade.record.now()
    assert state.unfinished() == []
    assert set(range(MONTHS)) - state.destroyed()[TOPIC, 0] == cold
    assert len(hot) == 3  # a month, and what is left of this one and the last
    assert cold == {*range(83, 90), *range(106, 120)}  # three years were promised to the first, 13 months to the others
    assert most == 57  # months 13 to 69: while the hold was open nothing went
    assert list(check(decade.root / "archive")) == []
