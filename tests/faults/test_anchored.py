"""Witnesses and an authority beside the road: one is killed, the log goes on, and all of it is anchored."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from ingest.formats.registry import all_formats
from skytrail.cli.main import build
from skytrail.local import engines as local
from skytrail.local import ports
from storage.archive.reader import ArchiveReader
from storage.archive.stores.filesystem import FilesystemStore
from storage.ledger.keyring import KeyRing
from storage.verify.archive import examine
from storage.verify.findings import Kind
from storage.verify.ledger.notes import parse_vkey
from storage.verify.ledger.pins import Pins
from storage.verify.places import Directory
from storage.verify.scope import Scope
from streams.topic_admin import ensure_topics
from streams.topics import all_topics
from tests.engines import temporary_home
from tests.faults.road import Road, feeding, spawn, wait_for
from tests.storage.ledger.authority import Authority
from tests.storage.ledger.oracle import ledgers_tell_of_every_segment

pytestmark = [pytest.mark.faults, pytest.mark.engines]
ORGANISATION = "logs.skytrail.example"
NAMESPACE = "anchored"


class WitnessProcess:
    """`skytrail witness serve` in a directory of its own, always on the same port."""

    def __init__(self, root: Path, name: str, logs: list[str]) -> None:
        root.mkdir()
        self.file, self._root, self._starts, self.url = root / "skytrail.toml", root, 0, ""
        own = {"name": f"witness.example/{name}", "logs": logs}
        self.file.write_bytes(msgspec.toml.encode({"state_dir": str(root), "witness": own}))
        made = CliRunner().invoke(build("witness"), ["--config", str(self.file), "witness", "init", "-o", "json"])
        self.vkey: str = json.loads(made.stdout)["vkey"]
        self.start("0")

    def start(self, port: str = "") -> None:
        self._starts += 1
        log = self._root / f"{self._starts}.log"
        arguments = ["--config", str(self.file), "witness", "serve", "--port", port or self.url.rpartition(":")[2]]
        self.process = spawn(arguments, log)
        wait_for(lambda: "add-checkpoint" in log.read_text(), f"{log} says where it listens")
        found = re.search(r"(http://[0-9.:]+)/add-checkpoint", log.read_text())
        assert found is not None
        self.url = found[1]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def stamping(authority: Authority) -> Iterator[str]:
    """The authority over HTTP, with the real time."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            authority.now = dt.datetime.now(dt.UTC)
            query = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(authority.reply(query))

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def running() -> Iterator[list[WitnessProcess]]:
    """Those that a test has started end with it, however it ends."""
    started: list[WitnessProcess] = []
    yield started
    for each in started:
        each.kill()


@pytest.fixture
def seal_road(tmp_path: Path) -> Iterator[Road]:
    """A road with a Kafka and an archive of its own: what it leaves is not for other tests. Nothing runs on it."""
    with temporary_home() as home:
        state = local.start(
            home,
            cache=local.default_cache(os.environ),
            kafka_port=ports.any_free(),
            elasticsearch_port=ports.any_free(),
        )
        local.kill(home, "elasticsearch")
        (tmp_path / "road").mkdir()
        road = Road(tmp_path / "road", state)
        asyncio.run(ensure_topics(road.settings.kafka, all_topics(list(all_formats()))))
        yield road
        road.abandon()


def anchors(road: Road) -> dict[int, list[str]]:
    """Size → what lies in its folder, and who cosigned."""
    found: dict[int, list[str]] = {}
    for path in (road.settings.archive_dir / NAMESPACE / "anchor" / "1").glob("*/checkpoint"):
        cosigned = re.findall(r"witness\.example/(\w+)", path.read_text())
        found[int(path.parent.name)] = sorted([*cosigned, *(stamp.name for stamp in path.parent.glob("*.tsr"))])
    return found


def entries(road: Road) -> int:
    """Entries of the published checkpoint."""
    path = road.settings.archive_dir / NAMESPACE / "log" / "1" / "checkpoint"
    return int(path.read_text().split("\n")[1]) if path.exists() else 0


async def until(condition: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(wait_for, condition, what)


def stamped(road: Road) -> int:
    """How many checkpoints bear a stamp."""
    return sum(any(name.startswith("tsa-") for name in names) for names in anchors(road).values())


async def grown(road: Road) -> None:
    """Wait until the ledger has grown: the seal role works."""
    before = entries(road)
    await until(lambda: entries(road) >= before + 5, "the ledger grows")


def sealed(road: Road) -> int:
    return sum(1 for _ in ArchiveReader(FilesystemStore(road.settings.archive_dir)).records(NAMESPACE))


async def test_witnesses_and_seal_workers_that_are_killed_leave_a_whole_ledger_that_is_anchored_in_the_end(
    seal_road: Road, tmp_path: Path, running: list[WitnessProcess]
) -> None:
    keys = KeyRing(seal_road.settings.keys_file)
    pair = keys.add_first(dt.datetime.now(dt.UTC), days=30)
    assert pair is not None
    log_key = str(pair.verifier_keys(f"{ORGANISATION}/{NAMESPACE}/1")[0])
    running.extend(WitnessProcess(tmp_path / name, name, [log_key]) for name in ("w1", "w2"))
    witnesses = list(running)
    authority = Authority(now=dt.datetime.now(dt.UTC).replace(microsecond=0))
    (tmp_path / "ca.pem").write_bytes(authority.root_pem)
    with stamping(authority) as stamps:
        ledger = {
            "witnesses": {f"w{n + 1}": {"url": each.url, "vkey": each.vkey} for n, each in enumerate(witnesses)},
            "quorum": 2,
            "authorities": {"tsa": {"url": stamps, "ca_file": str(tmp_path / "ca.pem")}},
            "stamp_interval_s": 10,
        }
        seal_road.start("seal", ledger=ledger)
        async with feeding(seal_road, NAMESPACE, 8) as feed:
            await until(lambda: len(anchors(seal_road)) >= 3, "three anchored checkpoints")
            witnesses[1].kill()
            await grown(seal_road)
            seal_road.kill("seal")
            seal_road.start("seal", ledger=ledger)
            await grown(seal_road)
            await asyncio.to_thread(witnesses[1].start)
            await until(lambda: stamped(seal_road) >= 2, "two stamps of the authority")
        await until(lambda: sealed(seal_road) == feed.records, "everything is sealed")
        newest = entries(seal_road)
        await until(
            lambda: any(size >= newest and {"w1", "w2"} <= set(names) for size, names in anchors(seal_road).items()),
            "the newest checkpoint is anchored",
        )
    assert seal_road.end("seal", seal_road.roles["seal"][0]) == 0
    ledgers_tell_of_every_segment(seal_road.settings.archive_dir)
    pins = Pins(
        keys=(parse_vkey(log_key),),
        witnesses=tuple(parse_vkey(each.vkey) for each in witnesses),
        authorities=(authority.root,),
    )
    scope = Scope(pins=pins, now=dt.datetime.now(dt.UTC))
    found = list(examine(Directory(seal_road.settings.archive_dir), scope))
    # Two minutes without a quorum are a finding, and rightly so; whether it comes to that depends on the machine.
    assert [each for each in found if each.kind is not Kind.UNANCHORED] == []
