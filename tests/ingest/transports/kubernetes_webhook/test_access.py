"""Who may post to the webhook, and what is refused at start."""

from __future__ import annotations

import ssl
from pathlib import Path

import aiohttp
import pytest

from ingest.schema.errors import ConfigError
from ingest.transports.kubernetes_webhook.transport import KubernetesWebhook
from tests.ingest.transports.authority import Authority
from tests.ingest.transports.kubernetes_webhook.cluster import BATCH, TOKEN, Cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


@pytest.mark.parametrize(
    ("token", "source", "status"),
    [
        (TOKEN, "prod", 200),
        (TOKEN, "test", 200),
        (f"{TOKEN}-of-prod", "prod", 200),
        (f"{TOKEN}-of-prod", "test", 401),
        ("wrong-token-wrong-token", "prod", 401),
        ("", "prod", 401),
        (TOKEN, "no such/path", 404),
        (TOKEN, "x" * 101, 404),
    ],
)
async def test_a_token_lets_in_where_it_is_bound(cluster: Cluster, token: str, source: str, status: int) -> None:
    webhook = await cluster.open()
    response = await cluster.post(webhook, BATCH, token=token, source=source)
    assert response.status == status
    if status == 401:
        assert (response.content_length, response.headers["WWW-Authenticate"]) == (0, "Bearer")
    await webhook.close()


async def test_tokens_are_read_again_when_their_file_changes(cluster: Cluster) -> None:
    webhook = await cluster.open()
    tokens = cluster.directory / "tokens"
    tokens.write_text("another-token-another\n")
    assert (await cluster.post(webhook, BATCH)).status == 401
    assert (await cluster.post(webhook, BATCH, token="another-token-another")).status == 200
    tokens.unlink()
    assert (await cluster.post(webhook, BATCH, token="another-token-another")).status == 401
    assert "reading tokens" in str(cluster.told.warnings[-1])
    await webhook.close()


async def test_with_a_client_authority_only_its_certificates_get_in(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other", "other").issue("apiserver")
    webhook = await cluster.open(client_ca_file=cluster.authority.file, token_file=None)
    assert (await cluster.post(webhook, BATCH, client=cluster.authority.issue("apiserver"))).status == 200
    for client in (None, stranger):
        with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
            await cluster.post(webhook, BATCH, client=client)
    await webhook.close()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"token_file": None}, "anybody could post"),
        ({"certificate_file": None}, "there is no certificate"),
        ({"certificate_file": None, "allow_plain_http": True, "host": "0.0.0.0"}, "plain HTTP beyond loopback"),
        ({"certificate_file": None, "allow_plain_http": True, "client_ca_file": "x"}, "client certificates need TLS"),
        ({"token_file": "/nonexistent/tokens"}, "reading tokens"),
        ({"key_file": "/nonexistent/key"}, "reading certificates"),
    ],
)
def test_an_unsafe_or_broken_setting_is_refused_at_start(
    cluster: Cluster, changes: dict[str, object], what: str
) -> None:
    with pytest.raises(ConfigError, match=what):
        KubernetesWebhook(cluster.settings(**changes), cluster.told.place)


@pytest.mark.parametrize("line", ["short", "prod two words-of-a-token-here", "# nothing", ""])
def test_a_token_file_without_a_usable_token_is_refused(cluster: Cluster, line: str) -> None:
    (cluster.directory / "tokens").write_text(line)
    with pytest.raises(ConfigError, match="reading tokens"):
        KubernetesWebhook(cluster.settings(), cluster.told.place)
