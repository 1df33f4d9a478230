"""What `skytrail doctor` asks Elasticsearch, besides rights: its templates and its clock."""

from __future__ import annotations

import datetime as dt

from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch

from storage.index.client import check_server, explain
from storage.index.install import refuse_foreign
from storage.index.product import product_templates
from storage.index.templates import digest_of
from storage.settings import ElasticsearchSettings


async def template_differences(client: AsyncElasticsearch, settings: ElasticsearchSettings) -> list[str]:
    """What installing the templates would change, a phrase each; changes nothing.

    Raises:
        IndexUnavailable: Elasticsearch does not answer or refuses the bootstrap identity.
        ConfigError: The server is too old, or a foreign template would apply to our indices instead of ours.
    """
    templates = product_templates(settings, await check_server(client))
    try:
        components = (await client.cluster.get_component_template())["component_templates"]
        indices = (await client.indices.get_index_template())["index_templates"]
    except (ApiError, TransportError) as exc:
        raise explain(exc, "reading index templates", "elasticsearch.bootstrap") from exc
    installed = {found["name"]: found["index_template"] for found in indices}
    refuse_foreign(templates, installed)
    known = {**installed, **{found["name"]: found["component_template"] for found in components}}
    return [
        f"{name} {'differs' if name in known else 'is missing'}"
        for name, body in {**templates.components, **templates.indices}.items()
        if digest_of(known.get(name, {})) != digest_of(body)
    ]


async def clock_of(client: AsyncElasticsearch) -> dt.datetime:
    """The time of a node of Elasticsearch (UTC, milliseconds); it sends no Date header.

    Raises:
        IndexUnavailable: Elasticsearch does not answer.
    """
    try:
        answer = await client.nodes.stats(metric="jvm", filter_path="nodes.*.timestamp")
    except (ApiError, TransportError) as exc:
        raise explain(exc, "asking Elasticsearch for its time") from exc
    stamps = [node["timestamp"] for node in answer.get("nodes", {}).values()]
    return dt.datetime.fromtimestamp(max(stamps) / 1000, dt.UTC)
