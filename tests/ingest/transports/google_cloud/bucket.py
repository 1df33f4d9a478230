"""A bucket of a Cloud Storage server of the test's own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

BUCKET = "audit-logs"


@dataclass
class Bucket:
    """What writes objects."""

    address: str
    client: Any = field(init=False)

    def __post_init__(self) -> None:
        self.client = storage.Client(
            project="acme-test",
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
            client_options={"api_endpoint": self.address},
        )
        self.client.create_bucket(BUCKET)

    async def write(self, name: str, body: bytes, **properties: str) -> int:
        """Make an object, or a new generation of it; its generation."""

        def write() -> int:
            blob = self.client.bucket(BUCKET).blob(name)
            for key, value in properties.items():
                setattr(blob, key, value)
            blob.upload_from_string(body, content_type="application/json", retry=None)
            return int(blob.generation)

        return await asyncio.to_thread(write)

    async def delete(self, name: str) -> None:
        await asyncio.to_thread(self.client.bucket(BUCKET).blob(name).delete)

    def close(self) -> None:
        self.client.close()
