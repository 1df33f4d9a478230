"""Installs the templates as the bootstrap identity; safe to run at every start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch

from ingest.schema.errors import ConfigError
from storage.index.client import check_server, explain
from storage.index.product import product_templates
from storage.index.templates import PRIORITY, Templates, digest_of
from storage.settings import ElasticsearchSettings

_TIMEOUT: Final = "30s"


async def ensure_templates(client: AsyncElasticsearch, settings: ElasticsearchSettings) -> list[str]:
    """Put the templates that are missing or differ from ours.

    Existing indices keep their mapping; new ones follow the new templates.

    Args:
        client: Of the bootstrap identity.
        settings: Shards, replicas, refresh interval.

    Returns:
        What was changed, a phrase each; empty when everything was in place.

    Raises:
        IndexUnavailable: Elasticsearch does not answer or refuses the bootstrap identity.
        ConfigError: The server is too old, or a foreign template would apply to our indices instead of ours.
    """
    server = await check_server(client)
    templates = product_templates(settings, server)
    try:
        answer = await client.indices.get_index_template()
        installed = {found["name"]: found["index_template"] for found in answer["index_templates"]}
        refuse_foreign(templates, installed)
        changed = await _put_components(client, templates)
        for name, body in templates.indices.items():
            if digest_of(installed.get(name, {})) != digest_of(body):
                await client.indices.put_index_template(name=name, body=dict(body), master_timeout=_TIMEOUT)
                changed.append(f"{'updated' if name in installed else 'created'} index template {name}")
    except (ApiError, TransportError) as exc:
        raise explain(exc, "installing index templates", "elasticsearch.bootstrap") from exc
    return changed


def refuse_foreign(ours: Templates, installed: Mapping[str, Mapping[str, Any]]) -> None:
    """Check that no other template wins over one of ours.

    Raises:
        ConfigError: One of equal or higher priority has an overlapping pattern.
    """
    for name, body in installed.items():
        if name in ours.indices or int(body.get("priority", 0)) < PRIORITY:
            continue
        for own_name, own in ours.indices.items():
            if overlap := _overlap(body.get("index_patterns", []), own["index_patterns"]):
                raise ConfigError(
                    f"installing index templates: {name} (priority {body.get('priority')}, pattern {overlap}) "
                    f"would apply instead of {own_name} (priority {PRIORITY})",
                    where=f"index template {name}",
                    mend=f"lower its priority below {PRIORITY} or narrow its pattern",
                )


async def _put_components(client: AsyncElasticsearch, templates: Templates) -> list[str]:
    answer = await client.cluster.get_component_template()  # by name it answers 404 as long as there is none
    installed = {found["name"]: found["component_template"] for found in answer["component_templates"]}
    changed = []
    for name, body in templates.components.items():
        if digest_of(installed.get(name, {})) != digest_of(body):
            await client.cluster.put_component_template(name=name, body=dict(body), master_timeout=_TIMEOUT)
            changed.append(f"{'updated' if name in installed else 'created'} component template {name}")
    return changed


def _overlap(theirs: Iterable[str], ours: Iterable[str]) -> str:
    """The first of their patterns that some index name shares with one of ours; empty when there is none."""
    for pattern in theirs:
        if any(may_meet(pattern, own) for own in ours):
            return pattern
    return ""


def may_meet(left: str, right: str) -> bool:
    """Whether some name matches both patterns, in which `*` stands for any characters.

    Walks the pairs of places in both patterns: linear in the product of their lengths.
    """
    seen: set[tuple[int, int]] = set()
    todo = [(0, 0)]
    while todo:
        place = todo.pop()
        if place in seen:
            continue
        seen.add(place)
        i, j = place
        if i == len(left) and j == len(right):
            return True
        star_left = i < len(left) and left[i] == "*"
        star_right = j < len(right) and right[j] == "*"
        if star_left:
            todo.append((i + 1, j))
            if j < len(right):
                todo.append((i, j + 1))
        if star_right:
            todo.append((i, j + 1))
            if i < len(left):
                todo.append((i + 1, j))
        if not (star_left or star_right) and i < len(left) and j < len(right) and left[i] == right[j]:
            todo.append((i + 1, j + 1))
    return False
