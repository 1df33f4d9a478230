"""A transport whose process dies without a word."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from ingest.transports.files.transport import FilesTransport
from ingest.transports.kubernetes_webhook.settings import KubernetesWebhookSettings
from ingest.transports.kubernetes_webhook.transport import KubernetesWebhook
from ingest.transports.registry import as_collector, open_transport
from tests.ingest.fakes import Told
from tests.ingest.transports.contract import pull

TOKEN = "0123456789abcdef-token"
CHILD = """
import asyncio, sys
from pathlib import Path
from ingest.transports.kubernetes_webhook.settings import KubernetesWebhookSettings
from ingest.transports.kubernetes_webhook.transport import KubernetesWebhook
from tests.ingest.fakes import Told

async def main(directory):
    settings = KubernetesWebhookSettings(
        port=0, allow_plain_http=True, token_file=directory / "tokens", spool_after_s=0.05
    )
    webhook = KubernetesWebhook(settings, Told(directory).place)
    await webhook.start()
    print(webhook.port, flush=True)
    await asyncio.sleep(60)

asyncio.run(main(Path(sys.argv[1])))
"""


async def test_a_killed_webhook_has_every_body_it_answered(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(TOKEN)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(tmp_path), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    assert child.stdout
    port = int(await asyncio.wait_for(child.stdout.readline(), 30))
    answered: list[bytes] = []

    async def post(session: aiohttp.ClientSession, number: int) -> None:
        body = b'{"items":[{"n":%d}]}' % number
        async with session.post(f"http://127.0.0.1:{port}/k8s/prod", data=body) as response:
            if response.status == 200:
                answered.append(body)
                if len(answered) == 30:
                    child.send_signal(signal.SIGKILL)

    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
        await asyncio.gather(*(post(session, number) for number in range(10)), return_exceptions=True)
        for first in range(10, 100, 10):
            posts = (post(session, number) for number in range(first, first + 10))
            await asyncio.gather(*posts, return_exceptions=True)
    assert await child.wait() == -signal.SIGKILL
    settings = KubernetesWebhookSettings(port=0, allow_plain_http=True, token_file=tokens)
    reborn = KubernetesWebhook(settings, Told(tmp_path).place)
    await reborn.start()
    found = {each.body for each in await pull(reborn.deliveries(), reborn.spooled)}
    await reborn.close()
    assert len(answered) >= 30
    assert set(answered) <= found


async def test_files_that_were_read_but_not_acknowledged_come_again_after_a_kill(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    for number in range(4):
        (tmp_path / f"source/{number}.log").write_bytes(b"%d\n" % number)
    told = Told(tmp_path)

    def opened() -> FilesTransport:
        return FilesTransport((str(tmp_path / "source"),), told.place, checkpoint_file=tmp_path / "progress.json")

    first = await pull(opened().deliveries(), 4)
    for delivery in first[:2]:
        await delivery.acknowledge()
    reborn = opened()  # nothing was closed; acknowledgements of the last second may be repeated
    found = []
    async for delivery in reborn.deliveries():
        found.append(delivery.body)
        await delivery.acknowledge()
    await reborn.close()
    assert found[-2:] == [b"2\n", b"3\n"]


async def test_the_settings_name_the_transport(tmp_path: Path) -> None:
    place = Told(tmp_path).place
    (tmp_path / "a.log").write_bytes(b"{}\n")
    settings = as_collector(
        {"transport": "files", "format": "test.lines", "files": {"paths": [str(tmp_path / "a.log")]}}
    )
    transport = await open_transport(settings, place)
    (delivery,) = await pull(transport.deliveries(), 1)
    await delivery.acknowledge()
    await transport.close()
    assert (tmp_path / "checkpoints/mine.json").exists()
    with pytest.raises(ValueError, match="there is no transport 'carrier_pigeon'"):
        as_collector({"transport": "carrier_pigeon", "format": "test.lines"})
