"""The seal role anchors all ledgers over HTTP, tells how long entries wait, and refuses settings that can't work."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ingest.schema.errors import ConfigError
from skytrail.witnessing import WitnessServer
from storage.ledger.anchor_settings import open_anchors
from storage.ledger.posting import MAX_REPLY_BYTES, HttpPost
from storage.ledger.signing import NoteSigner
from storage.ledger.witness import Witness
from storage.settings import LedgerSettings
from streams.anchoring import Anchorer
from streams.telemetry import Telemetry
from tests.storage.archive.samples import Clock, open_store
from tests.storage.ledger.authority import Authority
from tests.storage.ledger.samples import keys_in
from tests.storage.ledger.test_notary import chains_in, notary_in, sealed

SIGNER = NoteSigner("witness.example/w1", Ed25519PrivateKey.from_private_bytes(b"\1" * 32), witness=True)
NAMESPACES = ("acme", "globex", "unreadable")


@asynccontextmanager
async def serving(application: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def stamping(authority: Authority) -> web.Application:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=authority.reply(await request.read()), content_type="application/timestamp-reply")

    application = web.Application()
    application.add_routes([web.post("/tsa", answer)])
    return application


def settings(tmp_path: Path, **changes: Any) -> LedgerSettings:
    (tmp_path / "ca.pem").write_bytes(Authority().root_pem)
    values: dict[str, Any] = {
        "witnesses": {"w1": {"url": "http://127.0.0.1:1", "vkey": str(SIGNER.key)}},
        "authorities": {"tsa": {"url": "http://127.0.0.1:1/tsa", "ca_file": tmp_path / "ca.pem"}},
        "quorum": 1,
        **changes,
    }
    return LedgerSettings(**values)


async def test_every_ledger_of_an_archive_is_anchored_over_http(tmp_path: Path) -> None:
    clock, telemetry, post = Clock(), Telemetry(), HttpPost(20)
    sealed(tmp_path, clock)
    notary_in(tmp_path, clock, organisation="logs.example.org").record(chains_in(tmp_path))
    keys = [keys_in(tmp_path).pairs()[0].verifier_keys(f"logs.example.org/{name}/1")[0] for name in NAMESPACES]
    server = WitnessServer(Witness(SIGNER, keys, open_store(tmp_path / "witness"), clock))
    port = await server.start("127.0.0.1", 0)
    authority = Authority(now=clock.now.replace(microsecond=0))
    async with serving(stamping(authority)) as url:
        (tmp_path / "tsa.pem").write_bytes(authority.root_pem)
        ledger = settings(
            tmp_path,
            organisation="logs.example.org",
            witnesses={"w1": {"url": f"http://127.0.0.1:{port}", "vkey": str(SIGNER.key)}},
            authorities={"tsa": {"url": f"{url}/tsa", "ca_file": tmp_path / "tsa.pem"}},
        )
        anchorer = Anchorer(open_store(tmp_path / "archive"), ledger, open_anchors(ledger, post), telemetry, clock)
        await anchorer.look()
    await post.close()
    await server.close()
    for namespace in NAMESPACES:
        [folder] = (tmp_path / "archive" / namespace / "anchor" / "1").iterdir()
        assert sorted(path.name.partition("-")[0] for path in folder.iterdir()) == ["checkpoint", "tsa"]
        assert "witness.example/w1" in (folder / "checkpoint").read_text()
        waits = {"kind": "witness", "namespace": namespace}
        assert telemetry.registry.get_sample_value("skytrail_ledger_anchor_wait_seconds", waits) == 0
    given = {"kind": "stamp", "who": "tsa", "outcome": "given"}
    assert telemetry.registry.get_sample_value("skytrail_ledger_anchor_answers_total", given) == 3
    anchorer.rest()
    assert telemetry.registry.get_sample_value("skytrail_ledger_anchor_wait_seconds", waits) is None


async def test_nobody_there_is_told_as_waiting(tmp_path: Path) -> None:
    clock, telemetry, post = Clock(), Telemetry(), HttpPost(20)
    sealed(tmp_path, clock)
    notary_in(tmp_path, clock).record(chains_in(tmp_path))
    ledger = settings(tmp_path)
    anchorer = Anchorer(open_store(tmp_path / "archive"), ledger, open_anchors(ledger, post), telemetry, clock)
    for _ in range(3):
        await anchorer.look()
        clock.pass_(30)
    await post.close()
    waits = {"kind": "stamp", "namespace": "acme"}
    assert telemetry.registry.get_sample_value("skytrail_ledger_anchor_wait_seconds", waits) == 60
    away = {"kind": "witness", "who": "w1", "outcome": "away"}
    assert telemetry.registry.get_sample_value("skytrail_ledger_anchor_answers_total", away) == 9
    assert not (tmp_path / "archive" / "acme" / "anchor" / "1" / "checkpoint").exists()


async def test_an_answer_without_an_end_and_a_redirect_are_no_answer() -> None:
    async def endless(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * (MAX_REPLY_BYTES + 1))

    async def elsewhere(_: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "http://127.0.0.1:1/"})

    application = web.Application()
    application.add_routes([web.post("/endless", endless), web.post("/elsewhere", elsewhere)])
    post = HttpPost(20)
    async with serving(application) as url:
        with pytest.raises(OSError, match="more than"):
            await post(f"{url}/endless", b"", "text/plain")
        assert (await post(f"{url}/elsewhere", b"", "text/plain")).status == 307
    with pytest.raises(OSError, match="Client"):
        await post(f"{url}/gone", b"", "text/plain")
    with pytest.raises(OSError, match="label"):
        await post(f"http://{'a' * 300}.invalid/", b"", "text/plain")
    await post.close()


async def test_who_asks_a_witness_and_sends_nothing_is_let_go(tmp_path: Path) -> None:
    witness = Witness(SIGNER, [SIGNER.key], open_store(tmp_path), Clock())
    server = WitnessServer(witness, body_timeout_s=0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", await server.start("127.0.0.1", 0))
    writer.write(b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 100\r\n\r\nold 0")
    assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    writer.close()
    await server.close()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"quorum": 2}, "can't be reached"),
        ({"witnesses": {"w1": {"url": "http://w", "vkey": "nonsense"}}}, "verifier key of the witness w1"),
        (
            {"witnesses": {name: {"url": f"http://{name}", "vkey": str(SIGNER.key)} for name in ("w1", "w2")}},
            "the witnesses w1 and w2 have the same key",
        ),
        ({"authorities": {"a/b": {"url": "http://t", "ca_file": "ca.pem"}}}, "name of an authority"),
        ({"authorities": {"tsa": {"url": "http://t", "ca_file": "nowhere.pem"}}}, "certificates of the authority tsa"),
    ],
)
def test_settings_that_can_not_work_are_refused(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        open_anchors(settings(tmp_path, **changes), HttpPost(1))


def test_the_interval_of_stamps_is_that_of_the_settings(tmp_path: Path) -> None:
    anchors = open_anchors(settings(tmp_path, stamp_interval_s=90), HttpPost(1))
    assert (anchors.stamp_every, anchors.quorum) == (dt.timedelta(seconds=90), 1)
