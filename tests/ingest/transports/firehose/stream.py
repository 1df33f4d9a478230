"""An endpoint, and a delivery stream of Firehose that posts to it over real TLS as its specification says."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from ingest.transports.firehose.settings import FirehoseSettings
from ingest.transports.firehose.transport import Firehose
from tests.ingest.fakes import NOW, Told
from tests.ingest.transports.authority import Authority
from tests.ingest.transports.contract import Harness

KEY = "0123456789abcdef-key"


def body_of(records: Sequence[bytes], request_id: str) -> bytes:
    """A request as Firehose writes it."""
    data = [{"data": base64.b64encode(record).decode()} for record in records]
    return json.dumps({"requestId": request_id, "timestamp": 1_795_334_400_000, "records": data}).encode()


@dataclass
class Answer:
    """What came back.

    Attributes:
        json: The body; it is always JSON.
    """

    status: int
    json: dict[str, Any]


@dataclass
class Stream(Harness):
    """Posts; `send` repeats in the background what is not answered 200, as Firehose does."""

    directory: Path
    options: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.authority = Authority(self.directory, "ours")
        self.certificate = self.authority.issue("endpoint")
        self.told = Told(self.directory)
        (self.directory / "keys").write_text(f"logs {KEY}\nother {KEY}-of-other\n")
        self.endpoint: Firehose | None = None
        self._repeating: set[asyncio.Task[None]] = set()
        self._sent = 0

    def settings(self, **changes: object) -> FirehoseSettings:
        values: dict[str, object] = {
            "port": 0,
            "certificate_file": self.certificate[0],
            "key_file": self.certificate[1],
            "access_key_file": self.directory / "keys",
            "body_timeout_s": 0.5,
        }
        return FirehoseSettings.model_validate(values | self.options | changes)

    async def open(self, **changes: object) -> Firehose:
        self.endpoint = Firehose(self.settings(**changes), self.told.place)
        await self.endpoint.start()
        return self.endpoint

    async def post(
        self,
        *records: bytes,
        request_id: str = "id-1",
        zipped: bool = False,
        body: bytes | None = None,
        **headers: str,
    ) -> Answer:
        """Send one request; the answer must be such as Firehose accepts."""
        assert self.endpoint
        body = body_of(records, request_id) if body is None else body
        sent = {
            "Content-Type": "application/json",
            "X-Amz-Firehose-Protocol-Version": "1.0",
            "X-Amz-Firehose-Request-Id": request_id,
            "X-Amz-Firehose-Source-Arn": "arn:aws:firehose:eu-central-1:123456789012:deliverystream/logs",
            "X-Amz-Firehose-Access-Key": KEY,
            **({"Content-Encoding": "gzip"} if zipped else {}),
            **{f"X-Amz-Firehose-{name.replace('_', '-')}": value for name, value in headers.items()},
        }
        url = f"https://127.0.0.1:{self.endpoint.port}/firehose/logs"
        connector = aiohttp.TCPConnector(ssl=self.authority.trusting(None))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.post(url, data=gzip.compress(body, mtime=0) if zipped else body, headers=sent) as response,
        ):
            assert response.content_type == "application/json"
            answer: dict[str, Any] = json.loads(await response.read())
        assert answer["timestamp"] == int(NOW.timestamp() * 1000)
        assert ("errorMessage" in answer) == (response.status != 200)
        return Answer(response.status, answer)

    def posting(self, *records: bytes, **options: Any) -> asyncio.Task[Answer]:
        """Send in the background."""
        return asyncio.create_task(self.post(*records, **options))

    async def send(self, bodies: list[bytes]) -> None:
        for body in bodies:
            self._sent += 1
            task = asyncio.create_task(self._repeat(body, f"id-{self._sent}"))
            self._repeating.add(task)
            task.add_done_callback(self._repeating.discard)
            await asyncio.sleep(0.05)  # requests have no order among each other

    async def _repeat(self, body: bytes, request_id: str) -> None:
        while True:
            try:
                if (await self.post(body, request_id=request_id)).status == 200:
                    return
            except (aiohttp.ClientError, OSError):
                pass
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        for task in self._repeating:
            task.cancel()
        await asyncio.gather(*self._repeating, return_exceptions=True)
