"""Clients refuse unsafe addresses, and failures become words with a mend."""

from __future__ import annotations

import pytest
from elastic_transport import ConnectionError as NoConnection
from elastic_transport import ConnectionTimeout, TlsError

from ingest.schema.errors import ConfigError, IndexUnavailable
from storage.index.client import check_server, connect, error_of, explain, unavailable
from storage.settings import ElasticsearchSettings, Login
from tests.storage.index.fake_elasticsearch import FakeElasticsearch, serving

LOGIN = Login(username="reader", password="secret")


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"url": ""}, "address is missing"),
        ({"url": "ftp://localhost:9200"}, "address is missing"),
        ({"url": "http://user:secret@localhost:9200"}, "without a login in it"),
        ({"url": "http://elastic.example.org:9200"}, "plain http"),
        ({"url": "http://10.0.0.7:9200"}, "plain http"),
        ({"url": "http://localhost:9200", "reader": Login()}, "no login"),
        ({"url": "https://localhost:9200", "ca_file": "absent.pem"}, "no such file"),
    ],
)
def test_unsafe_or_incomplete_settings_are_refused_with_the_mend(settings, what) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        connect(ElasticsearchSettings(**{"reader": LOGIN, **settings}), "reader")
    assert caught.value.mend
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "http://127.0.0.1:9200"},
        {"url": "http://localhost:9200"},
        {"url": "http://[::1]:9200"},
        {"url": "http://elasticsearch:9200", "allow_plain_http": True},
        {"url": "https://elastic.example.org"},
        {"url": "https://elastic.example.org:9200", "reader": Login(api_key="a2V5")},
    ],
)
async def test_safe_settings_give_a_client(settings) -> None:
    client = connect(ElasticsearchSettings(**{"reader": LOGIN, **settings}), "reader")
    (node,) = client.transport.node_pool.all()
    assert node.config.port in (443, 9200)
    await client.close()


async def test_a_server_too_old_is_refused() -> None:
    async with serving(FakeElasticsearch()) as settings:
        client = connect(settings, "reader")
        with pytest.raises(ConfigError, match=r"it is 8\.10\.4, the oldest we work with is 8\.11\.0"):
            await check_server(client)
        await client.close()


async def test_no_server_is_unavailable() -> None:
    client = connect(ElasticsearchSettings(url="http://127.0.0.1:9", reader=LOGIN), "reader")
    with pytest.raises(IndexUnavailable, match="asking Elasticsearch for its version") as caught:
        await check_server(client)
    assert "skytrail up" in caught.value.mend
    await client.close()


@pytest.mark.parametrize(
    ("error", "word"),
    [(NoConnection("x"), "skytrail up"), (ConnectionTimeout("x"), "request_timeout_s"), (TlsError("x"), "ca_file")],
)
def test_each_kind_of_lost_connection_has_its_mend(error, word) -> None:
    assert word in explain(error, "searching").mend


def test_a_full_disk_says_how_to_lift_the_block() -> None:
    reason = "index [x] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark];"
    assert "read_only_allow_delete" in unavailable("writing", 429, "cluster_block_exception", reason).mend


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"type": "a", "reason": "b"}}, ("a", "b")),
        ({"error": "no handler"}, ("", "no handler")),
        ("<html>bad gateway</html>", ("", "<html>bad gateway</html>")),
        (None, ("", "")),
    ],
)
def test_errors_are_read_from_whatever_comes_back(body, expected) -> None:
    assert error_of(body) == expected
