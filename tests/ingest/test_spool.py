"""What an append reported survives any crash; what a crash left half-written is cut and told."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest import spool as spool_module
from ingest.schema.errors import ConfigError, IntegrityError, StoreUnavailable
from ingest.spool import Spool, Ticket
from ingest.spool_frames import HEAD_BYTES, NONCE_BYTES, START, frame

BIG = 64 * 1024 * 1024


async def drain(spool: Spool) -> list[bytes]:
    """Everything that waits, in order, done one by one."""
    found: list[bytes] = []
    while taken := await spool.take():
        ticket, payload = taken
        found.append(payload)
        await spool.done(ticket)
    return found


def segments(directory: Path) -> list[Path]:
    """The segment files, in order."""
    return sorted(directory.glob("*.spool"))


def crashed(spool: Spool) -> None:
    """Let the directory go as the death of the process would: nothing is noted or flushed."""
    os.close(spool._lock)
    spool._lock = -1
    spool._abandon_active()


async def test_appends_come_back_in_order_and_leave_nothing_behind(tmp_path: Path) -> None:
    spool = Spool(tmp_path, BIG, segment_bytes=200)
    payloads = [b"%d" % number * 20 for number in range(30)]
    for payload in payloads:
        await spool.append(payload)
    assert len(segments(tmp_path)) > 3
    assert await drain(spool) == payloads
    assert (spool.pending, spool.size) == (0, 0)
    assert segments(tmp_path) == []
    await spool.append(b"later")
    assert await drain(spool) == [b"later"]
    await spool.close()


async def test_concurrent_appends_share_an_fsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (syncs.append(descriptor), fsync(descriptor))[1])
    spool = Spool(tmp_path, BIG)
    await asyncio.gather(*(spool.append(b"%d" % number) for number in range(100)))
    assert len(syncs) < 20
    assert len(await drain(spool)) == 100
    await spool.close()


async def test_what_was_not_done_comes_again_after_a_crash_and_what_was_done_does_not(tmp_path: Path) -> None:
    spool = Spool(tmp_path, BIG, segment_bytes=100)
    for number in range(80):
        await spool.append(b"%03d" % number)
    for _ in range(50):
        taken = await spool.take()
        assert taken
        await spool.done(taken[0])
    crashed(spool)
    again = Spool(tmp_path, BIG)
    found = await drain(again)
    assert found[-30:] == [b"%03d" % number for number in range(50, 80)]
    assert len(found) <= 30 + 32  # the position is noted every 32 frames
    await again.close()


async def test_a_clean_close_notes_the_exact_position(tmp_path: Path) -> None:
    spool = Spool(tmp_path, BIG)
    for number in range(3):
        await spool.append(b"%d" % number)
    taken = await spool.take()
    assert taken
    await spool.done(taken[0])
    await spool.close()
    again = Spool(tmp_path, BIG)
    assert again.recovery.frames == again.pending == 2
    assert await drain(again) == [b"1", b"2"]
    await again.close()


async def test_doing_out_of_order_never_moves_the_position_beyond_what_is_not_done(tmp_path: Path) -> None:
    spool = Spool(tmp_path, BIG)
    for number in range(3):
        await spool.append(b"%d" % number)
    taken = [await spool.take() for _ in range(3)]
    for each in taken[1:]:
        assert each
        await spool.done(each[0])
    await spool.close()
    again = Spool(tmp_path, BIG)
    assert await drain(again) == [b"0", b"1", b"2"]
    await again.close()


async def test_a_claimed_frame_is_left_out_unless_it_is_given_back(tmp_path: Path) -> None:
    spool = Spool(tmp_path, BIG)
    kept = await spool.append(b"kept", claimed=True)
    returned = await spool.append(b"returned", claimed=True)
    early = await spool.append(b"early", claimed=True)
    await spool.append(b"mine")
    await spool.done(early)
    taken = await spool.take()
    assert taken
    assert taken[1] == b"mine"
    assert await spool.take() is None
    spool.give_back(returned)
    again = await spool.take()
    assert again == (returned, b"returned")
    for ticket in (taken[0], returned, kept, kept):
        await spool.done(ticket)
    assert (spool.pending, spool.size) == (0, 0)
    await spool.close()


async def test_a_full_spool_refuses_and_keeps_what_it_has(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1000)
    await spool.append(b"x" * 500)
    with pytest.raises(StoreUnavailable, match="it is full"):
        await spool.append(b"y" * 500)
    assert await drain(spool) == [b"x" * 500]
    await spool.append(b"y" * 500)
    await spool.close()


@pytest.mark.parametrize("failing", ["write", "fsync"])
@pytest.mark.parametrize("written", [0, 20])
async def test_a_full_disk_refuses_the_append_and_leaves_no_trace_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, written: int
) -> None:
    spool = Spool(tmp_path, BIG)
    await spool.append(b"before")
    write, fsync = os.write, os.fsync

    def full_write(descriptor: int, body: bytes) -> int:
        if failing == "write":
            write(descriptor, body[:written])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, body)

    def full_fsync(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", descriptor)

    monkeypatch.setattr(spool_module.os, "write", full_write)
    monkeypatch.setattr(spool_module.os, "fsync", full_fsync if failing == "fsync" else fsync)
    with pytest.raises(StoreUnavailable, match="No space left"):
        await spool.append(b"refused")
    monkeypatch.undo()
    await spool.append(b"after")
    crashed(spool)
    again = Spool(tmp_path, BIG)
    assert await drain(again) == [b"before", b"after"]
    assert again.recovery.torn_bytes == 0
    await again.close()


async def _filled(directory: Path, payloads: list[bytes]) -> Path:
    spool = Spool(directory, BIG)
    for payload in payloads:
        await spool.append(payload)
    crashed(spool)
    (segment,) = segments(directory)
    return segment


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    payloads=st.lists(st.binary(max_size=60), min_size=1, max_size=6),
    torn=st.integers(min_value=0),
    garbage=st.binary(max_size=40),
)
def test_a_crash_at_any_byte_of_the_tail_loses_no_frame_before_it(
    tmp_path: Path, payloads: list[bytes], torn: int, garbage: bytes
) -> None:
    directory = tmp_path / "spool"
    shutil.rmtree(directory, ignore_errors=True)

    async def scenario() -> None:
        segment = await _filled(directory, payloads)
        last = HEAD_BYTES + len(payloads[-1])
        size = segment.stat().st_size
        cut = size - last + torn % last
        segment.write_bytes(segment.read_bytes()[:cut] + garbage)
        spool = Spool(directory, BIG)
        assert spool.recovery.torn_bytes == cut + len(garbage) - (size - last)
        await spool.append(b"next")
        assert await drain(spool) == [*payloads[:-1], b"next"]
        await spool.close()

    asyncio.run(scenario())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    payloads=st.lists(st.binary(min_size=1, max_size=60), min_size=3, max_size=6),
    victim=st.integers(min_value=0),
    byte=st.integers(min_value=0),
)
def test_a_damaged_frame_is_set_aside_and_its_neighbours_come_back(
    tmp_path: Path, payloads: list[bytes], victim: int, byte: int
) -> None:
    directory = tmp_path / "spool"
    shutil.rmtree(directory, ignore_errors=True)
    victim %= len(payloads) - 1

    async def scenario() -> None:
        segment = await _filled(directory, payloads)
        offset = START + sum(HEAD_BYTES + len(each) for each in payloads[:victim])
        body = bytearray(segment.read_bytes())
        body[offset + byte % (HEAD_BYTES + len(payloads[victim]))] ^= 0x55
        segment.write_bytes(body)
        spool = Spool(directory, BIG)
        assert [file.read_bytes() for file in spool.recovery.damaged] == [
            bytes(body[offset : offset + HEAD_BYTES + len(payloads[victim])])
        ]
        assert await drain(spool) == payloads[:victim] + payloads[victim + 1 :]
        await spool.close()

    asyncio.run(scenario())


async def test_a_body_cannot_carry_a_forged_frame_in_its_inside(tmp_path: Path) -> None:
    forged = frame(b"guess" * 4, START, b"forged")
    segment = await _filled(tmp_path, [b"before", forged * 3])
    segment.write_bytes(segment.read_bytes()[:-1])  # the crash makes the search begin inside the body
    spool = Spool(tmp_path, BIG)
    assert await drain(spool) == [b"before"]
    await spool.close()


@pytest.mark.parametrize("size", [0, 5, START - 1])
async def test_a_crash_while_a_segment_is_begun_is_no_loss(tmp_path: Path, size: int) -> None:
    segment = await _filled(tmp_path, [b"kept"])
    (tmp_path / "00000002.spool").write_bytes(segment.read_bytes()[:size])
    spool = Spool(tmp_path, BIG)
    await spool.append(b"next")
    assert await drain(spool) == [b"kept", b"next"]
    await spool.close()


async def test_a_segment_without_its_head_is_set_aside_whole(tmp_path: Path) -> None:
    segment = await _filled(tmp_path, [b"kept" * 50])
    body = b"x" + segment.read_bytes()[1:]
    segment.write_bytes(body)
    spool = Spool(tmp_path, BIG)
    assert [file.read_bytes() for file in spool.recovery.damaged] == [body]
    assert await drain(spool) == []
    await spool.close()


async def test_two_processes_do_not_share_a_spool(tmp_path: Path) -> None:
    spool = Spool(tmp_path, BIG)
    with pytest.raises(ConfigError, match="another process has it"):
        Spool(tmp_path, BIG)
    await spool.close()
    again = Spool(tmp_path, BIG)
    await again.close()


async def test_a_frame_that_changes_on_disk_while_it_waits_is_an_integrity_error(tmp_path: Path) -> None:
    spool = Spool(tmp_path, BIG)
    await spool.append(b"evidence")
    (segment,) = segments(tmp_path)
    body = segment.read_bytes()
    segment.write_bytes(body[:-1] + b"?")
    with pytest.raises(IntegrityError, match="changed on disk"):
        await spool.take()
    await spool.close()


async def test_a_cancelled_append_may_be_kept_but_never_blocks_the_others(tmp_path: Path) -> None:
    spool = Spool(tmp_path, BIG)
    cancelled = asyncio.create_task(spool.append(b"cancelled", claimed=True))
    await asyncio.sleep(0)
    cancelled.cancel()
    await spool.append(b"other")
    assert await drain(spool) in ([b"cancelled", b"other"], [b"other"])
    assert spool.pending == 0
    await spool.close()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["append", "claim", "take", "done", "back", "crash", "restart"]), max_size=40))
def test_whatever_happens_every_reported_append_is_delivered(tmp_path: Path, steps: list[str]) -> None:
    directory = tmp_path / "spool"
    shutil.rmtree(directory, ignore_errors=True)

    async def scenario() -> None:
        spool = Spool(directory, BIG, segment_bytes=150)
        reported: set[bytes] = set()
        delivered: set[bytes] = set()
        held: list[tuple[Ticket, bytes]] = []
        for number, step in enumerate(steps):
            payload = b"payload %d" % number
            if step in ("append", "claim"):
                ticket = await spool.append(payload, claimed=step == "claim")
                reported.add(payload)
                if step == "claim":
                    held.append((ticket, payload))
            elif step == "take":
                if taken := await spool.take():
                    held.append(taken)
            elif step == "done" and held:
                ticket, payload = held.pop(number % len(held))
                await spool.done(ticket)
                delivered.add(payload)
            elif step == "back" and held:
                spool.give_back(held.pop(number % len(held))[0])
            elif step in ("crash", "restart"):
                if step == "crash":
                    crashed(spool)
                else:
                    await spool.close()
                held.clear()
                spool = Spool(directory, BIG, segment_bytes=150)
        for ticket, _ in held:
            spool.give_back(ticket)
        delivered |= set(await drain(spool))
        assert delivered == reported
        assert (spool.pending, spool.size) == (0, 0)
        await spool.close()

    asyncio.run(scenario())


def test_a_nonce_is_as_long_as_the_head_says() -> None:
    assert len(b"SKYSPOOL1\n") + NONCE_BYTES == START
