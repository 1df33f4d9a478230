"""Clients of Elasticsearch: one per identity, and what its failures mean in words.

Client 8.19 speaks to servers 8.11 and later, 9.x included. Sniffing and the client's own retries are off: the bulk
writer repeats what may be repeated and knows which documents are in doubt.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import aiohttp
from elastic_transport import ConnectionTimeout, TlsError, TransportError
from elasticsearch import ApiError, AsyncElasticsearch

from ingest.schema.errors import ConfigError, IndexUnavailable
from storage.settings import ElasticsearchSettings, Login

Identity = Literal["bootstrap", "indexer", "alerter", "reader", "analyst", "retention", "eraser", "auditor"]
"""One identity per duty: installs templates, creates events, writes alerts and their state, searches, triages,
drops indices, deletes documents of a person, reads who may do what."""

Version = tuple[int, int, int]
OLDEST_SERVER: Final[Version] = (8, 11, 0)


def connect(settings: ElasticsearchSettings, identity: Identity) -> AsyncElasticsearch:
    """A client that acts as one identity; the caller closes it. Opens no connection yet.

    Raises:
        ConfigError: No or an unusable address, plain http beyond loopback, a missing authority file or login.
    """
    url = _checked_url(settings)
    login: Login = getattr(settings, identity)
    options: dict[str, Any] = {
        "request_timeout": settings.request_timeout_s,
        "connections_per_node": settings.bulk_in_flight + 2,
        "max_retries": 0,
        "retry_on_timeout": False,
        "retry_on_status": (),
        "http_compress": False,
    }
    if url.startswith("https:") and settings.ca_file is not None:
        if not settings.ca_file.is_file():
            raise ConfigError(
                "opening the authority of Elasticsearch's certificate: no such file",
                where=f"elasticsearch.ca_file={settings.ca_file}",
                mend="copy the PEM file of the authority that signed the server (http_ca.crt) there",
            )
        options["ca_certs"] = str(settings.ca_file)
    if login.api_key.get_secret_value():
        options["api_key"] = login.api_key.get_secret_value()
    elif login.username:
        options["basic_auth"] = (login.username, login.password.get_secret_value())
    else:
        raise ConfigError(
            f"connecting to Elasticsearch as {identity}: there is no login",
            where=f"elasticsearch.{identity}",
            mend=f"set elasticsearch.{identity}.username and .password, or .api_key",
        )
    return AsyncElasticsearch(url, **options)


async def check_server(client: AsyncElasticsearch) -> Version:
    """The version of the oldest node; the nodes are asked, because `GET /` answers 405 on the minimal distribution.

    Raises:
        IndexUnavailable: No answer, or not for this identity (it needs the cluster privilege `monitor`).
        ConfigError: A node is older than we can work with.
    """
    try:
        answer = await client.nodes.info(node_id="_all", metric="http", filter_path="nodes.*.version,nodes.*.name")
    except (ApiError, TransportError) as exc:
        raise explain(exc, "asking Elasticsearch for its version") from exc
    nodes = answer.get("nodes", {}).values()
    if not nodes:
        raise IndexUnavailable("asking Elasticsearch for its version: it named no node")
    oldest, name = min((_version(node["version"]), node.get("name", "")) for node in nodes)
    if oldest < OLDEST_SERVER:
        raise ConfigError(
            f"checking Elasticsearch: it is {_dotted(oldest)}, the oldest we work with is {_dotted(OLDEST_SERVER)}",
            where=f"node {name}",
            mend="upgrade Elasticsearch, or point elasticsearch.url to a newer one",
        )
    return oldest


def explain(exc: ApiError | TransportError, doing: str, where: str = "") -> IndexUnavailable:
    """What a failed request means and what the operator should do; for failures that do not concern one document."""
    if isinstance(exc, TransportError):
        return _explain_transport(exc, doing, where)
    kind, reason = error_of(exc.body)
    return unavailable(doing, exc.status_code, kind, reason, where)


def unavailable(doing: str, status: int, kind: str, reason: str, where: str = "") -> IndexUnavailable:
    """The failure that a status and an error type of Elasticsearch stand for."""
    told = f"{doing}: HTTP {status} {kind}: {reason}" if reason else f"{doing}: HTTP {status} {kind}".rstrip()
    return IndexUnavailable(told, where=where, mend=_mend(status, kind, reason))


def error_of(body: object) -> tuple[str, str]:
    """Type and reason of an error answer; both may be empty, and a proxy's text counts as the reason."""
    if not isinstance(body, dict):
        return "", str(body or "")[:500]
    error = body.get("error", {})
    if not isinstance(error, dict):
        return "", str(error)[:500]
    return str(error.get("type", "")), str(error.get("reason", ""))[:2000]


def surely_not_sent(exc: TransportError) -> bool:
    """Whether the request can't have reached the server, because no connection was made."""
    return isinstance(exc.__context__, aiohttp.ClientConnectorError)


def _mend(status: int, kind: str, reason: str) -> str:
    if kind == "cluster_block_exception":
        if reason.startswith("index "):
            return (
                "free disk space, then lift the block: PUT <index>/_settings with null for "
                "index.blocks.read_only_allow_delete, index.blocks.read_only and index.blocks.write"
            )
        return "look at GET _cluster/health: the cluster has no master or blocks writing"
    if kind == "index_closed_exception":
        return "open the index: POST <index>/_open"
    if kind == "validation_exception":
        return "the cluster has no room for another shard: drop old indices, use longer periods, or add a node"
    if status == 401:  # noqa: PLR2004 - HTTP status
        return "Elasticsearch does not know this user, password or key: correct elasticsearch.<identity>"
    if status == 403:  # noqa: PLR2004 - HTTP status
        return "give this identity its rights (docs/runbook.md#indexunavailable); none of them is more than its duty"
    if status == 404:  # noqa: PLR2004 - HTTP status
        return "allow automatic creation: action.auto_create_index must contain logs-*,skytrail-*"
    if status == 429:  # noqa: PLR2004 - HTTP status
        return "Elasticsearch is at its limit; we slow down by ourselves. If it stays: more heap, more nodes"
    return IndexUnavailable.default_mend


def _explain_transport(exc: TransportError, doing: str, where: str) -> IndexUnavailable:
    if isinstance(exc, TlsError):
        mend = "check elasticsearch.ca_file and that the certificate names the host of elasticsearch.url"
    elif isinstance(exc, ConnectionTimeout):
        mend = "Elasticsearch is slow or unreachable; if it is slow for long, raise elasticsearch.request_timeout_s"
    else:
        mend = "start it (`skytrail up`) or correct elasticsearch.url; `skytrail doctor` tells more"
    told = str(exc.message)[:200]  # it may quote an answer, and with it events
    return IndexUnavailable(f"{doing}: {type(exc).__name__}: {told}", where=where, mend=mend)


def _checked_url(settings: ElasticsearchSettings) -> str:
    url = settings.url
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise ConfigError(
            "connecting to Elasticsearch: the address is missing or not http(s)://host:port without a login in it",
            where="elasticsearch.url",
            mend="run `skytrail up` for local engines, or set for instance https://elastic.example.org:9200",
        )
    if parts.scheme == "http" and not settings.allow_plain_http and not _is_loopback(parts.hostname):
        raise ConfigError(
            "connecting to Elasticsearch: plain http would show passwords and events to the network",
            where=f"elasticsearch.url={url}",
            mend="use https:// with elasticsearch.ca_file, or elasticsearch.allow_plain_http inside a private network",
        )
    if parts.port is None:  # the client wants an explicit one
        url = f"{parts.scheme}://{parts.netloc}:{443 if parts.scheme == 'https' else 9200}{parts.path}"
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _version(text: str) -> Version:
    numbers = [int(part) for part in text.partition("-")[0].split(".")[:3]]
    major, minor, patch = (*numbers, 0, 0)[:3]
    return major, minor, patch


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))
