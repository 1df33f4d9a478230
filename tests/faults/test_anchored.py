"""Witnesses and an authority beside the road: one is killed, the log goes on, and all of it is anchored."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from skytrail.cli.main import build
from storage.ledger.keyring import KeyRing
from storage.verify.archive import examine
from storage.verify.ledger.notes import parse_vkey
from storage.verify.ledger.pins import Pins
from storage.verify.places import Directory
from storage.verify.scope import Scope
from tests.faults.oracle import advanced, settled
from tests.faults.road import Road, feeding, spawn, wait_for
from tests.storage.ledger.authority import Authority

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


def anchors(road: Road) -> dict[int, list[str]]:
    """Size → what lies in its folder, and who cosigned."""
    found: dict[int, list[str]] = {}
    for folder in (road.settings.archive_dir / NAMESPACE / "anchor" / "1").glob("*"):
        cosigned = re.findall(r"witness\.example/(\w+)", (folder / "checkpoint").read_text())
        found[int(folder.name)] = sorted([*cosigned, *(path.name for path in folder.glob("*.tsr"))])
    return found


async def test_a_witness_that_is_killed_delays_nothing_and_everything_is_anchored_in_the_end(
    road: Road, tmp_path: Path
) -> None:
    origin = f"{ORGANISATION}/{NAMESPACE}/1"
    log_key = KeyRing(road.settings.keys_file).pairs()[0].verifier_keys(origin)[0]
    witnesses = [WitnessProcess(tmp_path / name, name, [str(log_key)]) for name in ("w1", "w2")]
    authority = Authority(now=dt.datetime.now(dt.UTC).replace(microsecond=0))
    (tmp_path / "ca.pem").write_bytes(authority.root_pem)
    with stamping(authority) as stamps:
        ledger = {
            "witnesses": {f"w{n + 1}": {"url": each.url, "vkey": each.vkey} for n, each in enumerate(witnesses)},
            "quorum": 2,
            "authorities": {"tsa": {"url": stamps, "ca_file": str(tmp_path / "ca.pem")}},
            "stamp_interval_s": 10,
        }
        for running in list(road.roles["seal"]):
            await asyncio.to_thread(road.end, "seal", running)
        road.start("seal", ledger=ledger)
        async with feeding(road, NAMESPACE, 8) as feed:
            await advanced(road)
            await asyncio.to_thread(wait_for, lambda: len(anchors(road)) >= 3, "three anchored checkpoints")
            witnesses[1].kill()
            await advanced(road)
            road.kill("seal")
            road.start("seal", ledger=ledger)
            await advanced(road)
            await asyncio.to_thread(witnesses[1].start)
        expected, _ = await settled(road, NAMESPACE)
        assert len(expected.versions) == feed.records

        def all_anchored() -> bool:
            size = (road.settings.archive_dir / NAMESPACE / "log" / "1" / "checkpoint").read_text().split("\n")[1]
            return set(anchors(road).get(int(size), [])) >= {"w1", "w2"}

        await asyncio.to_thread(wait_for, all_anchored, "the newest checkpoint is anchored")
    for each in witnesses:
        each.kill()
    assert sum("tsa.tsr" in names for names in anchors(road).values()) >= 2
    pins = Pins(
        keys=(parse_vkey(str(log_key)),),
        witnesses=tuple(parse_vkey(each.vkey) for each in witnesses),
        authorities=(authority.root,),
    )
    scope = Scope(pins=pins, now=dt.datetime.now(dt.UTC))
    found = [each for each in examine(Directory(road.settings.archive_dir), scope) if each.namespace == NAMESPACE]
    assert found == []
