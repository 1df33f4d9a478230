"""Every checkpoint gets its cosignatures and its stamp, whoever is away in between; nothing is claimed without them."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rfc3161_client import decode_timestamp_response

from ingest.schema.errors import IntegrityError, StoreUnavailable
from storage.ledger.anchoring import Anchors, LogAnchors
from storage.ledger.checkpoint import parse_head
from storage.ledger.cosigning import Declined, Outcome, WitnessClient, witness_key
from storage.ledger.log import Log, LogIdentity
from storage.ledger.note import parse
from storage.ledger.posting import Reply
from storage.ledger.published import PublishedLog
from storage.ledger.signing import NoteSigner, VerifierKey
from storage.ledger.stamping import AuthorityClient
from storage.ledger.witness import Witness
from tests.storage.archive.faults import FaultyStore
from tests.storage.archive.samples import Clock, open_store
from tests.storage.ledger.authority import Authority
from tests.storage.ledger.oracle import entries_of
from tests.storage.ledger.samples import keys_in, missing, open_log, place, segments

CHAIN = segments(600)
ORIGIN = "logs.example.org/acme/1"


@dataclass
class Running:
    """A witness that answers posts, unless it is told otherwise."""

    witness: Witness
    status: int = 0
    asked: int = 0

    async def __call__(self, url: str, body: bytes, _type: str) -> Reply:
        assert url.endswith("/add-checkpoint")
        self.asked += 1
        if self.status < 0:
            raise OSError("nobody is there")
        if self.status:
            return Reply(self.status, b"")
        answer = self.witness.add_checkpoint(body)
        return Reply(answer.status, answer.body.encode())


@dataclass
class Told:
    """An `Observer` that remembers."""

    answers: Counter[tuple[str, str, Outcome]] = field(default_factory=Counter)
    covered: list[tuple[str, float]] = field(default_factory=list)
    waiting: dict[str, float] = field(default_factory=dict)

    def answered(self, kind: str, who: str, outcome: Outcome, detail: str) -> None:
        assert bool(detail) is (outcome is not Outcome.GIVEN)
        self.answers[kind, who, outcome] += 1

    def anchored(self, kind: str, namespace: str, waited_s: float) -> None:
        assert namespace == "acme"
        self.covered.append((kind, waited_s))

    def waits(self, kind: str, _namespace: str, waits_s: float) -> None:
        self.waiting[kind] = waits_s


class Scene:
    """A log, its witnesses and authorities, and a clock that all of them share."""

    def __init__(
        self, root: Path, witnesses: int = 2, quorum: int = 2, authorities: int = 0, begins_after_s: float = 0.0
    ) -> None:
        self.root, self.clock, self.told = root, Clock(), Told()
        self.clock.pass_(begins_after_s)
        self.store = open_store(root / "archive", allow_delete=True)
        self.log: Log = open_log(root, self.store, clock=self.clock)
        self.grow(3)
        log_key = keys_in(root).pairs()[0].verifier_keys(ORIGIN)[0]
        self.witnesses: dict[str, Running] = {}
        clients: list[WitnessClient] = []
        for number in range(witnesses):
            private = Ed25519PrivateKey.from_private_bytes(bytes([number + 1]) * 32)
            signer = NoteSigner(f"witness.example/w{number}", private, witness=True)
            running = Running(Witness(signer, [log_key], open_store(root / f"w{number}"), self.clock))
            self.witnesses[f"w{number}"] = running
            clients.append(WitnessClient(f"w{number}", "https://w.example/", signer.key, running))
        self.authorities = {f"tsa{number}": Authority() for number in range(authorities)}
        stampers = [AuthorityClient(name, "https://t.example", [a.root], a) for name, a in self.authorities.items()]
        self.anchors = Anchors(clients, quorum, stampers)
        self.keeper = self.opened()

    def opened(self, store: object = None) -> LogAnchors:
        published = PublishedLog(store or self.store, LogIdentity("logs.example.org", 1, "acme"))  # type: ignore[arg-type]
        return LogAnchors(published, self.anchors, self.clock, self.told)

    def grow(self, count: int) -> None:
        self.log.append(lambda tips: missing(CHAIN[:count], tips))

    async def look(self, after_s: float = 2.0) -> None:
        self.clock.pass_(after_s)
        for authority in self.authorities.values():
            authority.now = self.clock.now.replace(microsecond=0)
        await self.keeper.look()

    def kept(self) -> dict[int, set[str]]:
        """Size → names of the witnesses that cosigned it, and of the authorities that stamped it."""
        found: dict[int, set[str]] = {}
        for folder in sorted((self.root / "archive" / "acme" / "anchor" / "1").glob("*")):
            raw = (folder / "checkpoint").read_bytes()
            size = parse_head(parse(raw).text).size
            assert folder.name == f"{size:020d}"
            found[size] = self.names(raw)
            for stamp in folder.glob("*.tsr"):
                response = decode_timestamp_response(stamp.read_bytes())
                assert response.tst_info.message_imprint.message == hashlib.sha256(raw).digest()
                found[size].add(stamp.stem.rpartition("-")[0])
        return found

    def names(self, raw: bytes) -> set[str]:
        note = parse(raw)
        keys: dict[str, VerifierKey] = {client.name: client.key for client in self.anchors.witnesses}
        own = [each for each in note.signatures if each.name == ORIGIN]
        assert own == list(note.signatures[: len(own)])
        assert len(own) == 2
        return {name for name, key in keys.items() if any(key.verifies(note.text, each) for each in note.signatures)}

    def published(self) -> set[str]:
        return self.names((place(self.root) / "checkpoint").read_bytes())


async def test_every_checkpoint_that_is_seen_is_cosigned_kept_and_published(tmp_path: Path):
    scene = Scene(tmp_path)
    for count in (3, 4, 5, 300):
        scene.grow(count)
        await scene.look()
        assert scene.published() == {"w0", "w1"}
    assert scene.kept() == {size: {"w0", "w1"} for size in (5, 6, 7, 302)}
    assert scene.told.waiting == {"witness": 0.0}
    assert len(scene.told.covered) == 4
    entries_of(place(tmp_path))


async def test_checkpoints_that_nobody_saw_are_covered_by_the_next_one(tmp_path: Path):
    scene = Scene(tmp_path)
    await scene.look()
    for count in range(4, 40):
        scene.grow(count)
    await scene.look()
    assert scene.kept() == {5: {"w0", "w1"}, 41: {"w0", "w1"}}


async def test_nothing_is_asked_while_nothing_changes(tmp_path: Path):
    scene = Scene(tmp_path)
    for _ in range(5):
        await scene.look()
    assert [each.asked for each in scene.witnesses.values()] == [1, 1]


async def test_without_a_quorum_nothing_is_kept_and_the_wait_grows(tmp_path: Path):
    scene = Scene(tmp_path)
    scene.witnesses["w1"].status = -1
    for _ in range(30):
        await scene.look()
    assert (scene.kept(), scene.told.covered) == ({}, [])
    assert scene.told.waiting["witness"] == pytest.approx(58.0)
    assert scene.witnesses["w0"].asked == 1
    assert scene.witnesses["w1"].asked < 10  # less and less often
    assert scene.published() == set()
    scene.witnesses["w1"].status = 0
    await scene.look(60)
    assert scene.kept() == {5: {"w0", "w1"}}
    assert scene.told.waiting["witness"] == 0.0


async def test_a_quorum_of_fewer_does_not_wait_for_the_rest(tmp_path: Path):
    scene = Scene(tmp_path, witnesses=3, quorum=2)
    scene.witnesses["w2"].status = 500
    await scene.look()
    assert scene.kept() == {5: {"w0", "w1"}}
    assert scene.told.answers["witness", "w2", Outcome.AWAY] == 1


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(403, Outcome.UNKNOWN_TO_IT), (404, Outcome.UNKNOWN_TO_IT), (422, Outcome.OTHER_HISTORY), (500, Outcome.AWAY)],
)
async def test_every_refusal_is_told_by_its_kind(tmp_path: Path, status: int, outcome: Outcome):
    scene = Scene(tmp_path, witnesses=1, quorum=1)
    scene.witnesses["w0"].status = status
    await scene.look()
    assert scene.told.answers == {("witness", "w0", outcome): 1}
    assert scene.kept() == {}


async def test_a_log_that_was_set_back_is_told_by_the_witness(tmp_path: Path):
    scene = Scene(tmp_path, witnesses=1, quorum=1)
    scene.grow(9)
    await scene.look()
    other = Scene(tmp_path / "other", witnesses=1, quorum=1)
    other.anchors = scene.anchors
    other.keeper = other.opened()
    await other.look()
    assert other.told.answers == {("witness", "w0", Outcome.AHEAD): 1}
    assert other.kept() == {}


async def test_another_history_of_the_same_size_is_told(tmp_path: Path):
    scene = Scene(tmp_path, witnesses=1, quorum=1)
    await scene.look()
    other = Scene(tmp_path / "other", witnesses=1, quorum=1, begins_after_s=5)
    other.anchors = scene.anchors
    other.keeper = other.opened()
    await other.look()
    assert other.told.answers == {("witness", "w0", Outcome.OTHER_HISTORY): 1}
    assert other.kept() == {}


async def test_who_takes_over_finds_what_is_cosigned_and_asks_nobody(tmp_path: Path):
    scene = Scene(tmp_path)
    await scene.look()
    scene.keeper = scene.opened()
    await scene.look()
    assert [each.asked for each in scene.witnesses.values()] == [1, 1]
    assert scene.kept() == {5: {"w0", "w1"}}


async def test_cosignatures_of_others_are_not_taken(tmp_path: Path):
    scene = Scene(tmp_path, witnesses=1, quorum=1)
    stranger = NoteSigner("witness.example/w0", Ed25519PrivateKey.generate(), witness=True)
    [client] = scene.anchors.witnesses
    scene.anchors = Anchors([WitnessClient("w0", "https://w", stranger.key, scene.witnesses["w0"])], 1)
    scene.keeper = scene.opened()
    await scene.look()
    assert scene.told.answers == {("witness", "w0", Outcome.BROKEN): 1}
    assert client.key != stranger.key
    assert scene.kept() == {}


async def test_a_stamp_is_asked_for_once_per_interval_of_the_cosigned_checkpoint(tmp_path: Path):
    scene = Scene(tmp_path, authorities=2)
    for count in range(3, 63):
        scene.grow(count)
        await scene.look()
    stamped = {size: names for size, names in scene.kept().items() if "tsa0" in names}
    assert list(stamped) == [5, 35]
    assert all(names == {"w0", "w1", "tsa0", "tsa1"} for names in stamped.values())
    assert [each.asked for each in scene.authorities.values()] == [2, 2]
    assert max(waited for kind, waited in scene.told.covered if kind == "stamp") <= 62


async def test_a_stamp_waits_for_witnesses_only_so_long(tmp_path: Path):
    scene = Scene(tmp_path, authorities=1)
    scene.witnesses["w1"].status = -1
    for _ in range(3):
        await scene.look()
    assert scene.kept() == {}
    for _ in range(3):
        await scene.look()
    assert scene.kept() == {5: {"tsa0", "w0"}}
    scene.witnesses["w1"].status = 0
    await scene.look(60)
    assert scene.kept() == {5: {"tsa0", "w0"}}  # never replaced, so without a quorum in it
    assert scene.told.waiting["witness"] > 60
    assert scene.published() == {"w0", "w1"}
    scene.grow(4)
    await scene.look()
    assert scene.kept()[6] == {"w0", "w1", "tsa0"}
    assert scene.told.waiting["witness"] == 0.0


async def test_one_authority_that_is_away_does_not_keep_the_other_from_stamping(tmp_path: Path):
    scene = Scene(tmp_path, witnesses=0, quorum=0, authorities=2)
    scene.authorities["tsa1"].away = True
    await scene.look()
    assert scene.kept() == {5: {"tsa0"}}
    assert scene.told.waiting == {"stamp": 0.0}


async def test_with_no_authority_the_wait_grows_and_the_next_look_tries_again(tmp_path: Path):
    scene = Scene(tmp_path, witnesses=0, quorum=0, authorities=1)
    scene.authorities["tsa0"].away = True
    for _ in range(20):
        await scene.look()
    assert scene.told.waiting["stamp"] == pytest.approx(38.0)
    assert 3 < scene.authorities["tsa0"].asked < 8
    scene.authorities["tsa0"].away = False
    await scene.look(60)
    assert scene.kept() == {5: {"tsa0"}}


@pytest.mark.parametrize("fault", ["lost", "applied"])
async def test_a_store_that_is_away_at_any_step_only_delays(tmp_path: Path, fault: str):
    for at in range(8):
        scene = Scene(tmp_path / str(at), authorities=1)
        scene.keeper = scene.opened(FaultyStore(scene.store, at, fault))  # type: ignore[arg-type]
        failed = 0
        for _ in range(3):
            try:
                await scene.look()
            except StoreUnavailable:
                failed += 1
        assert failed <= 1
        assert scene.kept() == {5: {"w0", "w1", "tsa0"}}, at


async def test_a_damaged_log_is_told_and_one_that_grew_is_not(tmp_path: Path):
    scene = Scene(tmp_path)
    await scene.look()
    scene.grow(4)
    tile = next(place(tmp_path).glob("tile/0/000.p/6"))
    body = tile.read_bytes()
    tile.unlink()
    with pytest.raises(IntegrityError, match="a tile is missing"):
        await scene.look()
    tile.write_bytes(body)
    await scene.look()
    assert scene.kept()[6] == {"w0", "w1"}


async def test_a_witness_key_may_be_written_as_one_of_a_log():
    signer = NoteSigner("witness.example/w0", Ed25519PrivateKey.generate(), witness=True)
    as_log = VerifierKey(signer.key.name, 0x01, signer.key.public)
    assert witness_key("w0", str(as_log)) == witness_key("w0", str(signer.key)) == signer.key


async def test_a_witness_that_always_knows_more_is_not_asked_for_ever():
    sizes = iter(range(2, 100))

    async def racing(*_: object) -> Reply:
        return Reply(409, f"{next(sizes)}\n".encode())

    async def prove(_old: int, _new: int) -> list[bytes]:
        return []

    signer = NoteSigner("w", Ed25519PrivateKey.generate(), witness=True)
    client = WitnessClient("w0", "https://w", signer.key, racing)
    note = f"{ORIGIN}\n50\n{'A' * 43}=\n"
    answer = await client.cosign(note, parse_head(note), note.encode(), prove)
    assert isinstance(answer, Declined)
    assert answer.outcome is Outcome.AHEAD
    assert next(sizes) == 5
