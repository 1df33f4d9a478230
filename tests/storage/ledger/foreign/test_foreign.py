"""Programs of other authors accept our log, our notes and our stamps, and refuse what was changed."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from storage.ledger.anchoring import Anchors, LogAnchors
from storage.ledger.checkpoint import TreeHead
from storage.ledger.cosigning import Declined, Outcome, WitnessClient
from storage.ledger.log import Log, LogIdentity
from storage.ledger.note import Note, parse
from storage.ledger.posting import HttpPost, Reply
from storage.ledger.published import PublishedLog
from storage.ledger.signing import NoteSigner, VerifierKey, signed
from storage.ledger.stamping import AuthorityClient
from storage.ledger.stored import head_of
from tests.storage.archive.samples import Clock, open_store
from tests.storage.ledger.foreign.running import checked_by_fsck, running_omniwitness, verified_by_notecheck
from tests.storage.ledger.samples import keys_in, missing, open_log, place, segments
from tests.storage.ledger.test_anchoring import Told
from tests.storage.verify.ledger.samples import authority, reply_of_openssl

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
CHAIN = segments(600)
ORIGIN = "logs.example.org/acme/1"
SEED = b"\7" * 32
WITNESS = NoteSigner("witness.example/foreign", Ed25519PrivateKey.from_private_bytes(SEED), witness=True)
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def grown(log: Log, count: int) -> None:
    log.append(lambda tips: missing(CHAIN[:count], tips))


def key_of(root: Path) -> VerifierKey:
    return keys_in(root).pairs()[-1].verifier_keys(ORIGIN)[0]


def published(root: Path) -> TreeHead:
    return head_of((place(root) / "checkpoint").read_bytes())


def flipped(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[-1] ^= 1
    path.chmod(0o640)
    path.write_bytes(body)


# Sizes of the log: two entries more than segments. 256 and 512 fill tiles.
@pytest.mark.parametrize("counts", [[1], [254], [255], [3, 100, 300], [*range(250, 260)], [510, 600]])
def test_tessera_fsck_accepts_our_log(tmp_path: Path, counts: list[int]):
    log = open_log(tmp_path)
    for count in counts:
        grown(log, count)
    head = published(tmp_path)
    assert head.size == counts[-1] + 2
    assert checked_by_fsck(place(tmp_path), key_of(tmp_path), tmp_path) == (head.size, head.root)


def test_tessera_fsck_accepts_a_log_whose_keys_changed_and_that_was_cosigned(tmp_path: Path):
    clock = Clock()
    log = open_log(tmp_path, clock=clock)
    grown(log, 3)
    clock.pass_(10)
    keys_in(tmp_path).add(clock.now, not_before=clock.now, days=30)
    grown(log, 300)
    checkpoint = place(tmp_path) / "checkpoint"
    note = parse(checkpoint.read_bytes())
    cosigned = Note(note.text, (*note.signatures, WITNESS.sign(note.text, 1_700_000_000)))
    PublishedLog(open_store(tmp_path / "archive"), log.identity).publish(note.encode(), cosigned.encode())
    head = published(tmp_path)
    assert checked_by_fsck(place(tmp_path), key_of(tmp_path), tmp_path) == (head.size, head.root)


@pytest.mark.parametrize("name", ["tile/0/000", "tile/entries/000", "tile/entries/001.p/46", "tile/0/001.p/46"])
def test_tessera_fsck_refuses_what_was_changed(tmp_path: Path, name: str):
    grown(open_log(tmp_path), 300)
    flipped(place(tmp_path) / name)
    assert checked_by_fsck(place(tmp_path), key_of(tmp_path), tmp_path) is None


def test_foreign_code_verifies_all_three_kinds_of_signatures(tmp_path: Path):
    clock = Clock()
    log = open_log(tmp_path, clock=clock)
    grown(log, 3)
    clock.pass_(10)
    keys_in(tmp_path).add(clock.now, not_before=clock.now, days=30)
    log.append(lambda _: [])
    note = parse((place(tmp_path) / "checkpoint").read_bytes())
    cosigned = Note(note.text, (*note.signatures, WITNESS.sign(note.text, 1_700_000_000)))
    file = tmp_path / "note"
    file.write_bytes(cosigned.encode())
    keys = [key for pair in keys_in(tmp_path).pairs() for key in pair.verifier_keys(ORIGIN)]
    assert len(keys) == 4  # the checkpoint of a rotation is signed by the old and the new pair
    assert verified_by_notecheck(file, [*keys, WITNESS.key])
    file.write_bytes(cosigned.encode().replace(b"\n6\n", b"\n7\n"))
    for key in [*keys, WITNESS.key]:
        assert not verified_by_notecheck(file, [key])


async def test_a_foreign_witness_cosigns_our_log_as_it_grows(tmp_path: Path):
    clock, told, post = Clock(), Told(), HttpPost(20)
    log = open_log(tmp_path, clock=clock)
    identity = LogIdentity("logs.example.org", 1, "acme")

    def opened(url: str) -> LogAnchors:
        anchors = Anchors([WitnessClient("foreign", url, WITNESS.key, post)], 1)
        published = PublishedLog(open_store(tmp_path / "archive"), identity)
        return LogAnchors(published, anchors, lambda: dt.datetime.now(dt.UTC), told)  # it has the real time

    with running_omniwitness(tmp_path, WITNESS.key.name, SEED, [key_of(tmp_path)]) as url:
        keeper = opened(url)
        for count in (1, 2, 254, 255, 300, 600):
            grown(log, count)
            await keeper.look()
        keeper = opened(url)  # whoever takes over learns its size from its answer
        grown(log, 600)
        log.append(lambda tips: missing(segments(5, partition=1), tips, partition=1))
        await keeper.look()
    await post.close()
    assert told.answers == {("witness", "foreign", Outcome.GIVEN): 7}
    kept = sorted((tmp_path / "archive" / "acme" / "anchor" / "1").glob("*/checkpoint"))
    assert [head_of(path.read_bytes()).size for path in kept] == [3, 4, 256, 257, 302, 602, 607]
    for path in kept:
        assert verified_by_notecheck(path, [*keys_in(tmp_path).pairs()[0].verifier_keys(ORIGIN), WITNESS.key])


async def test_a_foreign_witness_does_not_cosign_another_history(tmp_path: Path):
    post = HttpPost(20)

    async def prove(_old: int, _new: int) -> list[bytes]:
        return []

    async def ask(client: WitnessClient, head: TreeHead) -> object:
        signers = keys_in(tmp_path).pairs()[0].signers(ORIGIN)
        return await client.cosign(head.text, head, signed(head, signers, 0).encode(), prove)

    stranger = VerifierKey(ORIGIN, 1, b"\1" * 32)
    with running_omniwitness(tmp_path, WITNESS.key.name, SEED, [key_of(tmp_path)]) as url:
        client = WitnessClient("foreign", url, WITNESS.key, post)
        assert not isinstance(await ask(client, TreeHead(ORIGIN, 5, b"\1" * 32)), Declined)
        fork = await ask(client, TreeHead(ORIGIN, 5, b"\2" * 32))
        shorter = await ask(client, TreeHead(ORIGIN, 4, b"\1" * 32))
        unproven = await ask(WitnessClient("foreign", url, WITNESS.key, post), TreeHead(ORIGIN, 9, b"\1" * 32))
    with running_omniwitness(tmp_path, WITNESS.key.name, SEED, [stranger]) as url:
        unknown = await ask(WitnessClient("foreign", url, WITNESS.key, post), TreeHead(ORIGIN, 5, b"\1" * 32))
    await post.close()
    answers = [fork, shorter, unproven, unknown]
    assert all(isinstance(answer, Declined) for answer in answers)
    outcomes = [answer.outcome for answer in answers if isinstance(answer, Declined)]
    # For a log whose signature is wrong it answers 500, where the protocol says 403.
    assert outcomes == [Outcome.OTHER_HISTORY, Outcome.AHEAD, Outcome.OTHER_HISTORY, Outcome.AWAY]


@needs_openssl
async def test_stamps_of_openssl_are_taken_and_verify_with_openssl(tmp_path: Path):
    async def answer(_url: str, query: bytes, _type: str) -> Reply:
        return Reply(200, reply_of_openssl(query))

    data = b"a checkpoint\n"
    reply = await AuthorityClient("tsa", "https://t.example", [authority()], answer).stamp(data)
    assert isinstance(reply, bytes)
    (tmp_path / "ca.pem").write_bytes(authority().public_bytes(Encoding.PEM))
    (tmp_path / "reply").write_bytes(reply)
    (tmp_path / "data").write_bytes(data)
    assert verified_by_openssl(tmp_path)
    (tmp_path / "data").write_bytes(b"another checkpoint\n")
    assert not verified_by_openssl(tmp_path)


def verified_by_openssl(folder: Path) -> bool:
    """Whether `reply` is a stamp of `data` by an authority of `ca.pem`."""
    command = ["openssl", "ts", "-verify", "-in", "reply", "-data", "data", "-CAfile", "ca.pem"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode == 0 and "Verification: OK" in done.stdout + done.stderr
