"""Calls of Cloud Storage: the SDK blocks, so they run in threads of their own; its exceptions become our errors."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from google.api_core.exceptions import GoogleAPICallError
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from ingest.loopback import at_loopback
from ingest.schema.errors import ConfigError
from ingest.transports.google_cloud.access import credentials_of, meaning

T = TypeVar("T")

_SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"
_ROLE = "roles/storage.objectViewer on the bucket"
_END_TIMEOUT_S = 15.0  # for calls that still run at a close


def refuse_unsafe_storage(endpoint: str) -> None:
    """Refuse to read logs in the clear beyond this machine.

    Raises:
        ConfigError: With what to set.
    """
    if endpoint and not endpoint.startswith("https://") and not at_loopback(endpoint):
        mend = "give https://…; plain http is meant for an emulator on this machine"
        raise ConfigError(
            "opening storage: plaintext beyond loopback", where=f"storage_endpoint {endpoint!r}", mend=mend
        )


class Storage:
    """Clients of one identity.

    Args:
        threads: Calls at once.

    Raises:
        ConfigError: An unsafe address.
    """

    def __init__(self, credentials_file: Path | None, endpoint: str, *, threads: int) -> None:
        refuse_unsafe_storage(endpoint)
        self._file = credentials_file
        self._endpoint = endpoint
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="gcs")
        self._own = threading.local()
        self._clients: list[Any] = []

    async def __call__(self, doing: str, where: str, call: Callable[[Any], T]) -> T:
        """Call with a client of the thread's own.

        Args:
            doing: What it is for, as a gerund.
            where: What it is about.
            call: Gets the client; it should not repeat what fails.

        Raises:
            SourceUnavailable: The same call may succeed later.
            SourceRefused: Google says no.
            ConfigError: The credentials' file is none.
        """
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._call, doing, where, call)

    async def close(self) -> None:
        """Let running calls end; no thread is left but one whose network hangs."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(
                asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True), _END_TIMEOUT_S
            )
        for client in self._clients:
            client.close()
        self._clients.clear()

    def _call(self, doing: str, where: str, call: Callable[[Any], T]) -> T:
        try:
            return call(self._client())
        except (GoogleAPICallError, GoogleAuthError, DataCorruption, InvalidResponse, OSError) as exc:
            raise meaning(doing, exc, where, role=_ROLE) from exc

    def _client(self) -> Any:
        if not hasattr(self._own, "client"):
            plain = self._endpoint.startswith("http://")
            credentials = AnonymousCredentials() if plain else credentials_of(self._file, _SCOPE)  # type: ignore[no-untyped-call]
            options = {"api_endpoint": self._endpoint} if self._endpoint else None
            # A project is asked for and not used: every call names a bucket.
            self._own.client = storage.Client(project="skytrail", credentials=credentials, client_options=options)
            self._clients.append(self._own.client)
        return self._own.client
