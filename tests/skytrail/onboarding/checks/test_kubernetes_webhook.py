"""The endpoint for API servers, proven from this machine."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import pytest

from skytrail.onboarding.checks.kubernetes_webhook import _certificate
from tests.ingest.transports.kubernetes_webhook.cluster import Cluster
from tests.skytrail.onboarding.checks.proofs import proof, states


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


async def test_an_endpoint_that_listens_is_proven(cluster: Cluster) -> None:
    webhook = await cluster.open()
    try:
        found = await proof("kubernetes_webhook", cluster.settings(port=webhook.port), format_name="kubernetes.audit")
    finally:
        await webhook.close()
    assert states(found) == {"certificate": "warn", "endpoint": "ok"}  # the certificate is of one day
    assert "answers" in found["endpoint"].found


async def test_an_endpoint_that_wants_client_certificates_is_proven_without_one(cluster: Cluster) -> None:
    options = {"client_ca_file": cluster.authority.file}
    webhook = await cluster.open(**options)
    try:
        own = cluster.settings(port=webhook.port, **options)
        found = await proof("kubernetes_webhook", own, format_name="kubernetes.audit")
    finally:
        await webhook.close()
    assert "asks for a client certificate" in found["endpoint"].found


async def test_what_does_not_listen_says_how_it_is_started(cluster: Cluster) -> None:
    webhook = await cluster.open()
    await webhook.close()
    own = cluster.settings(port=webhook.port)
    found = await proof("kubernetes_webhook", own, format_name="kubernetes.audit")
    assert found["endpoint"].state == "fail"
    assert "skytrail collect source" in found["endpoint"].mend


async def test_something_else_on_the_port_is_not_taken_for_the_collector(cluster: Cluster) -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as other:
        own = cluster.settings(port=other.sockets[0].getsockname()[1])
        found = await proof("kubernetes_webhook", own, format_name="kubernetes.audit")
    assert found["endpoint"].state == "fail"
    assert "something else" in found["endpoint"].mend


def test_a_certificate_that_has_ended_fails(cluster: Cluster) -> None:
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=2)
    found = _certificate(cluster.settings(), later)
    assert (found.state, found.mend) == ("fail", "renew it and start the collector again")
