"""A seal worker with its ledger, two witnesses and a time stamping authority, all by one clock."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage.archive.chain import Chain
from storage.ledger.anchoring import Anchors, LogAnchors
from storage.ledger.cosigning import WitnessClient
from storage.ledger.log import LogIdentity
from storage.ledger.notary import Notary, told_settings
from storage.ledger.published import PublishedLog
from storage.ledger.signing import NoteSigner
from storage.ledger.stamping import AuthorityClient
from storage.ledger.witness import Witness
from storage.settings import ArchiveSettings, AuthoritySettings, LedgerSettings, WitnessedBySettings
from storage.verify.findings import Kind, Summary
from storage.verify.ledger.notes import parse_vkey
from storage.verify.ledger.pins import Pins
from tests.storage.archive.samples import TOPIC, open_store
from tests.storage.ledger.authority import Authority
from tests.storage.ledger.test_anchoring import Running, Told
from tests.storage.verify.ledger.samples import ORGANISATION, MadeArchive

NAMES = ("w0", "w1")


class Scene:
    """A seal worker, its ledger of acme, two witnesses and an authority, all by one clock."""

    def __init__(self, root: Path) -> None:
        self.made = made = MadeArchive(root)
        made.clock.pass_(10)
        self.authority = Authority()
        signers = {
            name: NoteSigner(
                f"w.example/{name}", Ed25519PrivateKey.from_private_bytes(name.encode() * 16), witness=True
            )
            for name in NAMES
        }
        settings = LedgerSettings(
            organisation=ORGANISATION,
            quorum=2,
            witnesses={
                name: WitnessedBySettings(url="https://w.example", vkey=str(each.key)) for name, each in signers.items()
            },
            authorities={"tsa": AuthoritySettings(url="https://t.example", ca_file=root / "ca.pem")},
        )
        told = told_settings(settings, ArchiveSettings())
        self.notary = Notary(made.store, made.keys, settings, told, made.clock)
        keys = made.keys.pairs()[0].verifier_keys(made.origin())
        self.witnesses = {
            name: Running(Witness(each, [keys[0]], open_store(root / name), made.clock))
            for name, each in signers.items()
        }
        clients = [WitnessClient(n, "https://w.example/", each.key, self.witnesses[n]) for n, each in signers.items()]
        stamper = AuthorityClient("tsa", "https://t.example", [self.authority.root], self.authority)
        published = PublishedLog(made.store, LogIdentity(ORGANISATION, 1, "acme"))
        self.anchors = LogAnchors(published, Anchors(clients, 2, [stamper]), made.clock, Told())
        self.pins = Pins(
            keys=(parse_vkey(str(keys[0])),),
            witnesses=tuple(parse_vkey(str(each.key)) for each in signers.values()),
            authorities=(self.authority.root,),
        )

    async def work(self, start: int, count: int) -> None:
        """Seal some messages and enter them; then who anchors looks."""
        self.made.seal(count, [], start=start)
        self.notary.record(self.chains())
        await self.look()

    async def look(self, passed: float = 1) -> None:
        self.made.clock.pass_(passed)
        self.authority.now = self.made.clock.now.replace(microsecond=0)
        await self.anchors.look()

    def chains(self) -> list[Chain]:
        chain = Chain(self.made.store, "acme", TOPIC, 0)
        chain.restore()
        return [chain]

    def found(self, summary: Summary | None = None) -> list[tuple[Kind, str]]:
        """What is found about acme; the other namespaces have no ledger here."""
        findings = self.made.findings(self.pins, summary)
        return [(each.kind, each.detail) for each in findings if each.namespace == "acme"]
