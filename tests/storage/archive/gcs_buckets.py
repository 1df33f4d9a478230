"""Buckets of fake-gcs-server as archives: one server for the whole run, started when first asked for."""

from __future__ import annotations

import atexit
import contextlib
import functools
import socket
import subprocess
import time
import uuid
from typing import Any, Literal

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from skytrail.local.ports import any_free
from storage.archive.stores.gcs import GcsStore
from storage.gcs_settings import GcsArchiveSettings
from tests.ingest.transports.google_cloud.servers import built_fake_gcs

Lock = Literal["none", "unlocked", "locked"]
_START_S = 60


@functools.cache
def fake_gcs() -> str:
    """The address of the server."""
    port = any_free()
    address = f"http://127.0.0.1:{port}"
    options = ["-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
    options += ["-public-host", f"127.0.0.1:{port}", "-external-url", address, "-log-level", "error"]
    process = subprocess.Popen([str(built_fake_gcs()), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    atexit.register(process.wait)
    atexit.register(process.terminate)
    deadline = time.monotonic() + _START_S
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return address
        assert process.poll() is None, "fake-gcs-server ended"
        assert time.monotonic() < deadline, "fake-gcs-server does not listen"
        time.sleep(0.05)


def client() -> Any:
    """A client of it."""
    return storage.Client(
        project="acme-test",
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        client_options={"api_endpoint": fake_gcs()},
    )


def gcs_store(lock: Lock = "none", **options: Any) -> GcsStore:
    """A store in a bucket of its own."""
    name = f"archive-{uuid.uuid4().hex}"
    client().create_bucket(name, enable_object_retention=lock != "none")
    settings = GcsArchiveSettings(bucket=name, prefix="archive/of-all", lock=lock, lock_days=30)
    return GcsStore(settings, **{"allow_delete": True, "connect": client, **options})
