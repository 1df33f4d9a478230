"""Witnesses whose answers are late, of a wrong clock or of anything else: nothing wrong is kept, for ever as it is."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ingest.schema.errors import StoreUnavailable
from storage.ledger.checkpoint import parse_head
from storage.ledger.cosigning import Declined, Outcome, WitnessClient
from storage.ledger.posting import Reply
from storage.ledger.signing import NoteSigner, signed
from storage.ledger.witness import Witness
from tests.storage.archive.faults import FaultyStore
from tests.storage.archive.samples import open_store
from tests.storage.ledger.test_anchoring import ORIGIN, Running, Scene
from tests.storage.ledger.test_witness import LOG_KEY, WITNESS_KEY, head


@dataclass
class Late(Running):
    """A witness whose answer arrives while it is asked the next time, or after a moment."""

    asked_again: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, url: str, body: bytes, kind: str) -> Reply:
        if self.status:
            self.asked_again.set()
            for _ in range(5):
                await asyncio.sleep(0)
            return await super().__call__(url, body, kind)
        answer = await super().__call__(url, body, kind)
        await asyncio.wait([asyncio.create_task(self.asked_again.wait())], timeout=0.2)
        return answer


class TilesAwayOnce(FaultyStore):
    """The first tile that is read can't be."""

    away = True

    def get(self, key: str) -> bytes | None:
        if self.away and "/tile/" in key:
            self.away = False
            raise StoreUnavailable("reading a tile")
        return super().get(key)


async def test_a_late_answer_about_one_checkpoint_is_not_taken_for_the_next(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.witnesses["w1"].status = 500
    await scene.look()
    late = Late(scene.witnesses["w1"].witness)
    scene.anchors.witnesses[1]._post = late
    scene.keeper = scene.opened(TilesAwayOnce(scene.store, -1, "lost"))
    scene.grow(4)
    with pytest.raises(StoreUnavailable):  # w0 gets no proof; w1, which knows nothing yet, needs none and is slow
        await scene.look(60)
    scene.grow(5)
    late.status = -1
    await scene.look(60)
    assert scene.kept() == {}
    late.status = 0
    await scene.look(60)
    assert scene.kept() == {7: {"w0", "w1"}}


@pytest.mark.parametrize("seconds", [-(10**6), -121, 121, 10**9])
async def test_a_cosignature_of_a_clock_that_is_wrong_is_not_kept(tmp_path: Path, seconds: int) -> None:
    scene = Scene(tmp_path, witnesses=1, quorum=1)
    [running], [client] = scene.witnesses.values(), scene.anchors.witnesses
    private = Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
    running.witness = Witness(
        NoteSigner(client.key.name, private, witness=True),
        running.witness._logs[ORIGIN],
        open_store(tmp_path / "other"),
        lambda: scene.clock.now + dt.timedelta(seconds=seconds),
    )
    await scene.look()
    assert scene.told.answers == {("witness", "w0", Outcome.BROKEN): 1}
    assert (scene.kept(), scene.published()) == ({}, set())


CHECKPOINT = signed(head(5), [LOG_KEY], 0)
COSIGNED = WITNESS_KEY.sign(CHECKPOINT.text, 1_772_366_400).line.encode()
OTHER = WITNESS_KEY.sign(head(6).text, 1_772_366_400).line.encode()


async def answered(status: int, body: bytes) -> object:
    async def post(*_: object) -> Reply:
        return Reply(status, body)

    async def prove(_old: int, _new: int) -> list[bytes]:
        return []

    client = WitnessClient("w1", "https://w", WITNESS_KEY.key, post)
    return await client.cosign(CHECKPOINT.text, parse_head(CHECKPOINT.text), CHECKPOINT.encode(), prove)


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, b"", Outcome.BROKEN),
        (200, OTHER, Outcome.BROKEN),
        (200, COSIGNED + b"\n", Outcome.BROKEN),
        (200, COSIGNED.replace("—".encode(), b"-"), Outcome.BROKEN),
        (200, COSIGNED * 2000, None),
        (200, OTHER + COSIGNED, None),
        (200, CHECKPOINT.encode(), Outcome.BROKEN),
        (200, b"\xff" * 1000, Outcome.BROKEN),
        (204, COSIGNED, Outcome.AWAY),
        (301, COSIGNED, Outcome.AWAY),
        (409, b"0\n", Outcome.OTHER_HISTORY),
        (409, b"9999999999999999999\n", Outcome.AHEAD),
        (409, b"-1\n", Outcome.OTHER_HISTORY),
        (409, b"05\n", Outcome.OTHER_HISTORY),
        (409, b"", Outcome.OTHER_HISTORY),
    ],
)
async def test_every_answer_is_a_cosignature_of_this_checkpoint_or_a_reason(
    status: int, body: bytes, outcome: Outcome | None
) -> None:
    answer = await answered(status, body)
    assert (answer.outcome if isinstance(answer, Declined) else None) is outcome


async def test_a_changed_cosignature_is_a_reason_and_no_error() -> None:
    chance = random.Random(1)
    for _ in range(300):
        body = bytearray(COSIGNED)
        body[chance.randrange(len(body))] = chance.randrange(256)
        if bytes(body) != COSIGNED:
            assert isinstance(await answered(200, bytes(body)), Declined)
