"""Files, trees, globs: read once, or followed, with and without a checkpoint."""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
import os
import random
from pathlib import Path

import pytest

from ingest.schema.errors import ConfigError, SourceRefused, SourceUnavailable
from ingest.transports.contract import Delivery
from ingest.transports.files import reading
from ingest.transports.files.transport import FilesTransport
from tests.ingest.fakes import Told, until
from tests.ingest.transports.contract import Harness, TransportContract, asking, opened, pull

POLL_S = 0.02


class FilesHarness(Harness):
    """A file for each body."""

    def __init__(self, directory: Path, *, one_file: bool, follow: bool) -> None:
        self.source = directory / "source"
        self.source.mkdir()
        self.told = Told(directory)
        self._one_file = one_file
        self._follow = follow
        self._sent = 0

    async def open(self) -> FilesTransport:
        return FilesTransport(
            (str(self.source),),
            self.told.place,
            follow=self._follow,
            checkpoint_file=self.source / "progress.json",
            poll_interval_s=POLL_S,
        )

    async def send(self, bodies: list[bytes]) -> None:
        for body in bodies:
            self._sent += 1
            (self.source / f"{self._sent:03d}.log").write_bytes(body)


class TestTree(TransportContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Harness:
        return FilesHarness(tmp_path, one_file=False, follow=False)


class TestFollowedTree(TransportContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Harness:
        return FilesHarness(tmp_path, one_file=False, follow=True)


class TestOneLargeFile(TransportContract):
    """The bodies are chunks of one file."""

    @pytest.fixture
    def harness(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Harness:
        monkeypatch.setattr(reading, "CHUNK_BYTES", 12)

        class OneFile(FilesHarness):
            async def send(self, bodies: list[bytes]) -> None:
                with (self.source / "all.log").open("ab") as handle:
                    handle.write(b"".join(bodies))

        return OneFile(tmp_path, one_file=True, follow=True)

    async def test_acknowledging_a_later_body_does_not_acknowledge_an_earlier_one(self, harness: Harness) -> None:
        async with opened(harness) as (_, iterator):
            await harness.send([b'{"n": 1}\n', b'{"n": 2}\n', b'{"n": 3}\n'])
            _, second, third = await pull(iterator, 3)
            await second.acknowledge()
            await third.acknowledge()
        async with opened(harness) as (_, iterator):
            again = await pull(iterator, 3)
            assert [each.origin.first_ordinal for each in again] == [0, 1, 2]


async def read_all(*paths: str | Path, told: Told, limit: int | None = None, **options: object) -> list[Delivery]:
    """Everything a single run delivers, acknowledged."""
    place = told.place if limit is None else dataclasses.replace(told.place, max_body_bytes=limit)
    transport = FilesTransport(tuple(map(str, paths)), place, **options)  # type: ignore[arg-type]
    found: list[Delivery] = []
    try:
        async for delivery in transport.deliveries():
            found.append(delivery)
            await delivery.acknowledge()
    finally:
        await transport.close()
    return found


async def test_without_a_checkpoint_every_run_reads_everything(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"{}\n")
    told = Told(tmp_path)
    assert [len(await read_all(tmp_path, told=told)) for _ in range(2)] == [1, 1]


async def test_a_tree_is_read_in_order_without_hidden_files_and_each_file_once(tmp_path: Path) -> None:
    for name in ("b/2.json", "a/1.json", ".hidden", ".git/x", "b/.part", "c.log"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"{}")
    found = await read_all(tmp_path, f"{tmp_path}/**/*.json", told=Told(tmp_path))
    assert [Path(each.origin.locator).relative_to(tmp_path).as_posix() for each in found] == [
        "a/1.json",
        "b/2.json",
        "c.log",
    ]


async def test_the_own_checkpoint_is_not_read_whatever_name_leads_to_it(tmp_path: Path) -> None:
    checkpoint = tmp_path / "progress.json"
    (tmp_path / "a.log").write_bytes(b"{}\n")
    (tmp_path / "another.log").symlink_to(checkpoint)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "progress.json").write_bytes(b"{}\n")
    found = [await read_all(tmp_path, told=Told(tmp_path), checkpoint_file=checkpoint) for _ in range(2)]
    assert [Path(each.origin.locator).name for each in found[0]] == ["a.log", "progress.json"]
    assert checkpoint.exists()
    assert found[1] == []


async def test_a_hidden_file_that_is_named_is_read(tmp_path: Path) -> None:
    (tmp_path / ".audit").write_bytes(b"{}")
    assert len(await read_all(tmp_path / ".audit", told=Told(tmp_path))) == 1


@pytest.mark.parametrize("missing", ["nowhere.log", "*.nothing"])
async def test_a_path_that_is_not_there_is_refused_after_the_others_were_read(tmp_path: Path, missing: str) -> None:
    (tmp_path / "a.log").write_bytes(b"{}\n")
    transport = FilesTransport((str(tmp_path / missing), str(tmp_path / "a.log")), Told(tmp_path).place)
    found = []
    with pytest.raises(SourceRefused) as refused:  # noqa: PT012 - it is raised after the last body
        async for delivery in transport.deliveries():
            found.append(delivery.body)
            await delivery.acknowledge()
    assert found == [b"{}\n"]
    assert missing in str(refused.value)


async def test_a_file_that_may_not_be_read_is_named_with_the_mend_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.log", "b.log", "c.log"):
        (tmp_path / name).write_bytes(b"{}\n")
    whole = Path.open

    def refusing(self: Path, *arguments: object, **options: object) -> object:
        if self.name == "b.log":
            raise PermissionError(13, "Permission denied")  # root may read everything, so it is said here
        return whole(self, *arguments, **options)  # type: ignore[arg-type,call-overload]

    monkeypatch.setattr(Path, "open", refusing)
    told = Told(tmp_path)
    with pytest.raises(SourceRefused, match=r"permission denied at .*b\.log; let the user with id \d+ read it"):
        await read_all(tmp_path, told=told)
    assert [warning.where for warning in told.warnings] == [str(tmp_path / "b.log")]


async def test_a_file_that_vanishes_between_listing_and_opening_is_a_named_warning(tmp_path: Path) -> None:
    for name in ("a.log", "b.log"):
        (tmp_path / name).write_bytes(b"{}\n")
    told = Told(tmp_path)
    transport = FilesTransport((str(tmp_path),), told.place)
    found = []
    async for delivery in transport.deliveries():
        found.append(delivery)
        (tmp_path / "b.log").unlink(missing_ok=True)
        await delivery.acknowledge()
    assert len(found) == 1
    assert isinstance(told.warnings[0], SourceUnavailable)
    assert told.warnings[0].where.endswith("b.log")


async def test_gzip_is_known_by_its_first_bytes_and_comes_whole(tmp_path: Path) -> None:
    body = gzip.compress(os.urandom(6_000_000))
    (tmp_path / "named.json").write_bytes(body)
    (found,) = await read_all(tmp_path, told=Told(tmp_path))
    assert found.body == body


async def test_a_large_document_comes_whole_and_a_large_file_of_lines_in_parts(tmp_path: Path) -> None:
    line = b'{"pad": "%s"}\n' % (b"x" * 1000)
    (tmp_path / "a-lines").write_bytes(line * 10_000)
    (tmp_path / "b-document").write_bytes(b'{\n"Records": [\n' + line.replace(b"\n", b",\n") * 9_000 + b"0]}")
    found = await read_all(tmp_path, told=Told(tmp_path))
    lines = [each for each in found if each.origin.locator.endswith("lines")]
    assert len(lines) == 3
    assert b"".join(each.body for each in lines) == line * 10_000
    assert all(each.body.endswith(b"\n") for each in lines)
    counts = [each.body.count(b"\n") for each in lines]
    assert [each.origin.first_ordinal for each in lines] == [0, counts[0], counts[0] + counts[1]]
    assert len(found) == 4


async def test_a_document_beyond_the_limit_is_refused_and_stays_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"[\n" + b" " * 2_000_000 + b"]")
    (tmp_path / "b.json").write_bytes(b"[]")
    told = Told(tmp_path)
    with pytest.raises(SourceRefused, match=r"more than 1000000 bytes .*a\.json; raise max_inflated_bytes"):
        await read_all(tmp_path, told=told, limit=1_000_000)
    assert (tmp_path / "a.json").exists()


async def test_a_last_line_without_an_end_counts_when_nobody_follows(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b'{"n": 1}\n{"n": 2}')
    (found,) = await read_all(tmp_path, told=Told(tmp_path))
    assert found.body == b'{"n": 1}\n{"n": 2}'


async def test_a_damaged_checkpoint_is_refused_at_start(tmp_path: Path) -> None:
    (tmp_path / "progress.json").write_bytes(b"{half")
    with pytest.raises(ConfigError, match=r"reading checkpoint.*progress\.json.*move it away"):
        FilesTransport(("x",), Told(tmp_path).place, checkpoint_file=tmp_path / "progress.json")


async def test_a_checkpoint_that_cannot_be_written_is_a_warning_and_never_a_skip(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/a.log").write_bytes(b"{}\n")
    (tmp_path / "file").write_bytes(b"")
    told = Told(tmp_path)
    checkpoint = tmp_path / "file/progress.json"  # its parent is no directory
    assert len(await read_all(tmp_path / "source", told=told, checkpoint_file=tmp_path / "ok.json")) == 1
    transport = FilesTransport((str(tmp_path / "source"),), told.place)
    transport._checkpoint.file = checkpoint
    async for delivery in transport.deliveries():
        await delivery.acknowledge()
    assert "saving checkpoint" in str(told.warnings[0])


class Following:
    """A followed directory: what is written to it and what has arrived."""

    def __init__(self, directory: Path) -> None:
        self.source = directory / "source"
        self.source.mkdir()
        self.told = Told(directory)
        self.checkpoint = directory / "progress.json"
        self.arrived: list[bytes] = []

    def append(self, name: str, body: bytes) -> None:
        with (self.source / name).open("ab") as handle:
            handle.write(body)

    async def run(self, seconds: float = 0.25) -> bytes:
        """Follow for a while as a new process would; what arrived in that time, acknowledged."""
        transport = FilesTransport(
            (str(self.source),),
            self.told.place,
            follow=True,
            checkpoint_file=self.checkpoint,
            poll_interval_s=POLL_S,
        )
        found: list[bytes] = []

        async def collect() -> None:
            async for delivery in transport.deliveries():
                found.append(delivery.body)
                await delivery.acknowledge()

        task = asyncio.create_task(collect())
        await asyncio.sleep(seconds)
        await transport.close()
        await asyncio.wait_for(task, 5)
        self.arrived += found
        return b"".join(found)


@pytest.fixture
def following(tmp_path: Path) -> Following:
    return Following(tmp_path)


async def test_an_unfinished_line_waits_for_its_end_also_across_a_restart(following: Following) -> None:
    following.append("a.log", b'{"n": 1}\n{"n": ')
    assert await following.run() == b'{"n": 1}\n'
    following.append("a.log", b"2}\n")
    assert await following.run() == b'{"n": 2}\n'
    assert await following.run() == b""


async def test_a_rotated_file_is_not_read_again_and_its_last_lines_are_not_missed(following: Following) -> None:
    following.append("audit.log", b'{"n": 1}\n')
    assert await following.run() == b'{"n": 1}\n'
    following.append("audit.log", b'{"n": 2}\n')
    (following.source / "audit.log").rename(following.source / "audit-1.log")
    following.append("audit.log", b'{"n": 3}\n')
    assert await following.run() == b'{"n": 2}\n{"n": 3}\n'
    assert following.told.warnings == []


@pytest.mark.parametrize("rewritten", [b'{"m": 1}\n', b'{"m": 1}\n{"m": 2}\n{"m": 3}\n'], ids=["shorter", "longer"])
async def test_a_file_truncated_in_place_is_read_from_its_start(following: Following, rewritten: bytes) -> None:
    following.append("a.log", b'{"n": 1}\n{"n": 2}\n')
    await following.run()
    (following.source / "a.log").write_bytes(rewritten)
    assert await following.run() == rewritten
    (told,) = following.told.warnings
    assert f"it has {len(rewritten)} bytes that do not go on from the 18 that were read of it" in str(told)
    assert await following.run() == b""
    assert following.told.warnings == [told]


async def test_a_file_that_vanishes_before_all_that_was_seen_of_it_was_read_is_told(
    following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK_BYTES", 16)
    following.append("a.log", b'{"n": 1, "pad": 0}\n{"n": 2, "pad": 0}\n')
    following.append("b.log", b'{"n": 3}\n{"n":')
    transport = FilesTransport((str(following.source),), following.told.place, follow=True, poll_interval_s=POLL_S)
    iterator = transport.deliveries()
    (first,) = await pull(iterator, 1)
    (following.source / "a.log").unlink()  # the brokers were away meanwhile
    (second,) = await pull(iterator, 1)
    assert second.origin.locator.endswith("b.log")
    async with asking(iterator):
        (following.source / "b.log").unlink()
        await until(lambda: len(following.told.warnings) > 2)
        await asyncio.sleep(5 * POLL_S)
    left = [str(each) for each in following.told.warnings if "unread" in str(each)]
    assert [(each.partition(" with ")[2][:8], each.count("a.log"), each.count("b.log")) for each in left] == [
        ("19 bytes", 1, 0),
        ("5 bytes ", 0, 1),
    ]
    for each in (first, second):
        await each.acknowledge()
    await transport.close()


async def test_a_file_in_a_reused_inode_is_not_taken_for_the_old_one(following: Following) -> None:
    head = b'{"same": "head"}\n' * 100
    following.append("a.log", head + b'{"n": 1}\n')
    await following.run()
    with (following.source / "a.log").open("r+b") as handle:  # same inode, same first bytes, same size
        handle.write(head + b'{"n": 9}\n{"n": 8}\n')
    assert await following.run() == head + b'{"n": 9}\n{"n": 8}\n'


async def test_a_document_is_taken_once_it_rests(following: Following) -> None:
    path = following.source / "trail.json"
    path.write_bytes(b'{"Records": [')
    assert await following.run() == b""
    path.write_bytes(b'{"Records": []}')
    assert await following.run() == b'{"Records": []}'
    assert await following.run() == b""
    path.write_bytes(b'{"Records": [1]}')
    assert await following.run() == b'{"Records": [1]}'


async def test_a_gzip_object_is_taken_once_it_rests_and_only_once(following: Following) -> None:
    body = gzip.compress(b"{}\n")
    following.append("a.json.gz", body)
    assert await following.run() == body
    assert await following.run() == b""


async def test_files_that_appear_and_disappear_while_following(following: Following) -> None:
    task = asyncio.create_task(following.run(1.0))
    for number in range(5):
        following.append(f"{number}.log", b'{"n": %d}\n' % number)
        await asyncio.sleep(0.1)
        (following.source / f"{number}.log").unlink()
    assert await task == b"".join(b'{"n": %d}\n' % number for number in range(5))


@pytest.mark.parametrize("seed", range(4))
async def test_writing_rotating_and_restarting_at_random_neither_repeats_nor_skips(
    following: Following, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK_BYTES", 64)
    chance = random.Random(seed)
    written = b""
    for step in range(25):
        line = b'{"step": %d, "pad": "%s"}\n' % (step, b"x" * chance.randrange(90))
        cut = chance.randrange(len(line))
        following.append("audit.log", line[:cut])
        if chance.random() < 0.3:
            await following.run(0.06)
        following.append("audit.log", line[cut:])
        written += line
        if chance.random() < 0.3:
            (following.source / "audit.log").rename(following.source / f"audit-{step:02d}.log")
    await following.run(0.3)
    assert sorted(b"".join(following.arrived).splitlines()) == sorted(written.splitlines())


async def test_a_second_run_over_unchanged_files_reads_no_body(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / f"{number}.log").write_bytes(b"{}\n")
    told = Told(tmp_path)
    checkpoint = tmp_path / "progress.json"
    assert len(await read_all(tmp_path, told=told, checkpoint_file=checkpoint)) == 50
    assert await read_all(tmp_path, told=told, checkpoint_file=checkpoint) == []
