"""Ten years of rotation, month by month: one segment and one index a month, and what the pure policy says of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import msgspec

from ingest.schema.envelope import Envelope, encode
from skytrail.deleting import spanned, unsound
from skytrail.retaining import Retaining, sealed_of
from storage.archive.chain import Chain
from storage.archive.sealer import PartitionSealer
from storage.archive.store import ArchiveStore
from storage.index.names import index_name
from storage.ledger.keyring import KeyRing
from storage.ledger.notary import Notary, told_settings
from storage.retention.applying import Means, Outcome
from storage.retention.approval import Request, approve, ask
from storage.retention.entries import Hold, Release, Selector, entry_of, policy_entry
from storage.retention.offers import Offers
from storage.retention.plan import IndexFacts, Item, Plan, chain_items, index_item, make_plan
from storage.retention.policy import Policy
from storage.retention.record import Record
from storage.retention.rotation import Round, rotate
from storage.retention.verdict import DESTROYS, InForce, Subject, Tier, judge
from storage.settings import ArchiveSettings, LedgerSettings
from streams.naming import dataset_of
from tests.storage.archive.samples import TOPIC, Clock, header
from tests.storage.retention.people import PEOPLE, SIGNERS
from tests.storage.retention.samples import moment, policy
from tests.storage.retention.test_applying import Indexes

DATASET = "aws.cloudtrail"
FIRST = policy({"name": "all", "hot": "P6M", "cold": "P2Y"}, people=PEOPLE)
LONGER = policy({"name": "all", "regimes": ["pci-dss"], "hot": "P9M", "cold": "P3Y"}, people=PEOPLE)
SHORTER = policy({"name": "all", "hot": "P1M", "cold": "P13M"}, people=PEOPLE)
MONTHS = 120


class Decade:
    """A namespace in an archive, with an Elasticsearch of its own that is a dictionary.

    Args:
        root: For keys and state.
        store: The archive, with the right to delete.
        namespace: Its name.
    """

    def __init__(self, root: Path, store: ArchiveStore, namespace: str = "acme") -> None:
        self.namespace, self.store = namespace, store
        self.clock = Clock(moment("2027-01-01"))
        keys = KeyRing(root / "keys" / "keys.json")
        keys.add_first(self.clock(), days=4000)
        ledger = LedgerSettings(heartbeat_interval_s=40 * 86_400)  # it is told of once a month
        notary = Notary(store, keys, ledger, told_settings(ledger, ArchiveSettings()), self.clock, lambda _: None)
        self.retaining = Retaining(store, notary)
        self.sealer = PartitionSealer(store, TOPIC, 0, ArchiveSettings(), self.clock)
        self.sealer.restore()
        self.indices = Indexes()
        self.offers = Offers(root / "state")
        self.subjects: dict[int, Subject] = {}
        self.ends: dict[str, Subject] = {}
        self.policies: list[InForce] = []
        self.held = False

    @property
    def record(self) -> Record:
        """The ledger."""
        return self.retaining.record(self.namespace)

    def arrive(self, number: int) -> None:
        """What one month brings."""
        at = self.clock.now
        self.sealer.add(number, self.message(number))
        self.sealer.seal()
        chain = Chain(self.store, self.namespace, TOPIC, 0)
        chain.restore()
        self.retaining.notary.record([chain])
        name = index_name(DATASET, self.namespace, at, "month")
        self.index(name, number)
        end = next_month(at)
        self.ends[name] = Subject(namespace=self.namespace, dataset=DATASET, event=end, received=end)
        self.subjects[number] = Subject(namespace=self.namespace, dataset=DATASET, event=at, received=at)

    def message(self, number: int) -> bytes:
        """The message of a month."""
        of = msgspec.structs.replace(header(self.namespace), received_at=self.clock.now)
        return encode(Envelope(header=of, records=(f'{{"id":"{number}"}}'.encode(),)))

    def index(self, name: str, number: int) -> None:
        """Index what a month brought."""
        self.indices.present[name] = IndexFacts(
            name=name,
            uuid=f"u{number}",
            documents=1,
            bytes=1,
            received=self.clock.now,
            reach={(TOPIC, 0): (number, number)},
        )

    def adopt(self, told: Policy) -> None:
        self.record.enter(lambda s: [] if s.policy == told else [policy_entry(self.namespace, self.clock(), told)])
        self.policies.append(InForce(self.clock(), told))

    def hold(self) -> None:
        told = Hold(id="case-7", at="", reason="x", placed_by="alice", selector=Selector())
        self.record.enter(lambda s: [] if s.holds else [entry_of(self.namespace, self.clock(), told)])
        self.held = True

    def release(self) -> None:
        asked = Request(
            action="release",
            namespace=self.namespace,
            subject="case-7",
            reason="x",
            requested_by="alice",
            at="2031-01-01",
        )
        raw = ask(asked, SIGNERS["alice"])
        for name in ("bob", "carol"):
            raw = approve(raw, SIGNERS[name], "test")
        told = Release(id="case-7", at="", request=raw.decode())
        self.record.enter(lambda s: [] if s.releases else [entry_of(self.namespace, self.clock(), told)])
        self.held = False

    def plan(self) -> Plan:
        """What is due now."""
        now, state = self.clock(), self.record.now()
        items: list[Item] = []
        for chain in self.retaining.chains(self.namespace):
            items += chain_items(self.namespace, chain, state, now)
        for facts in self.indices.present.values():
            items += filter(None, [index_item(facts, state, sealed_of(self.retaining, self.namespace), now)])
        return make_plan(now, {self.namespace: state}, items)

    def means(self) -> Means:
        """What rotation works with."""
        return Means(
            store=self.store,
            indices=self.indices,
            dataset_of=dataset_of,
            unsound=lambda *place: unsound(self.store, *place),
            spanned=lambda *place: spanned(self.store, *place),
            witnessed=lambda _namespace, _size: True,
            clock=self.clock,
        )

    def round(self) -> Round:
        return rotate({self.namespace: self.record}, self.means(), self.plan(), self.offers)

    def goes(self, tier: Tier, subject: Subject) -> bool:
        """What the pure policy says."""
        holds = ["case-7"] if self.held else []
        return judge(tier, subject, self.policies, holds, self.clock()).decision in DESTROYS

    def documents(self) -> set[str]:
        """The indices that are there, each with its documents."""
        return set(self.indices.present)

    def segments(self, part: str = ".ndz") -> set[int]:
        """Numbers of the segments of which a part is there."""
        prefix = f"{self.namespace}/seg/{TOPIC}/0/"
        keys = (key.removeprefix(prefix) for key in self.store.keys(prefix))
        return {int(key[:12]) for key in keys if key.endswith(part)}


def lives(decade: Decade) -> None:
    """Ten years pass; in every month there is exactly what the policy keeps, and at the end what its numbers mean."""
    events: dict[int, Callable[[], None]] = {
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
        assert {result.outcome for result in found.results} <= {Outcome.DONE}, f"month {month}: {found.results}"
        hot = {*hot, *list(decade.ends)[-1:]}
        cold = {*cold, month}
        hot = {name for name in hot if not decade.goes("hot", decade.ends[name])}
        # The newest stays whatever its age: the sealer goes on from it.
        cold = {seq for seq in cold if seq == month or not decade.goes("cold", decade.subjects[seq])}
        assert decade.documents() == hot, f"month {month}"
        assert (decade.segments(), decade.segments(".headers")) == (cold, cold), f"month {month}"
        most = max(most, len(cold))
        decade.clock.now = next_month(decade.clock.now)
    state = decade.record.now()
    assert state.unfinished() == []
    assert set(range(MONTHS)) - state.destroyed()[TOPIC, 0] == cold
    assert decade.segments(".leaves") == decade.segments(".manifest.json") == set(range(MONTHS))
    assert len(hot) == 3  # a month, and what is left of this one and the last
    assert cold == {*range(83, 90), *range(106, 120)}  # three years were promised to the first, 13 months to the others
    assert most == 57  # months 13 to 69: while the hold was open nothing went


def next_month(day: dt.datetime) -> dt.datetime:
    """The first day of the month after."""
    first = (day.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
    return dt.datetime.combine(first, dt.time(), dt.UTC)
