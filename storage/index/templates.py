"""Component and index templates, generated from the field registry.

Per data set one index template of priority 300 (the stock `logs-*-*` has 100, Fleet packages 200) without a
`data_stream` object, composed of settings, the common fields, the vendor's fields, and a place for the customer
(`skytrail-<dataset>@custom`). Nothing sets `index.default_pipeline`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from ingest.schema.fields import Field
from storage.index.client import Version
from storage.index.mapping import mapping, tree
from storage.index.names import ALERT_DATASET, ALERT_STATE_INDEX, pattern
from storage.settings import ElasticsearchSettings

PRIORITY: Final = 300
TEMPLATES_VERSION: Final = 1
FIELD_LIMIT: Final = 2500
_LIMIT_IGNORED_SINCE: Final[Version] = (8, 14, 0)
"""From here on `ignore_dynamic_beyond_limit` exists: a field beyond the limit is not indexed, the document is kept."""

_STATE: Final = ALERT_STATE_INDEX.removeprefix("skytrail-")

# only text and keywords: a word that is no address would make the whole query wrong on an ip field
_SEARCHED_WITHOUT_A_FIELD: Final = (
    "message",
    "event.action",
    "event.provider",
    "event.id",
    "user.name",
    "user.name.text",
    "user.id",
    "related.user",
    "related.hosts",
    "related.entity",
    "source.address",
    "cloud.account.id",
    "rule.name",
    "rule.name.text",
    "error.message",
)


@dataclass(frozen=True, slots=True)
class Templates:
    """What belongs into Elasticsearch, by name."""

    components: Mapping[str, Mapping[str, Any]]
    indices: Mapping[str, Mapping[str, Any]]


def build(
    common: Iterable[Field],
    by_dataset: Mapping[str, Iterable[Field]],
    alert: Iterable[Field],
    alert_state: Iterable[Field],
    *,
    settings: ElasticsearchSettings,
    server: Version,
) -> Templates:
    """All templates.

    Args:
        common: Fields of every document.
        by_dataset: The vendor's fields of each data set.
        alert: Fields that only alerts have.
        alert_state: Fields of the mutable triage state of alerts.
        settings: Shards, replicas, refresh interval.
        server: Decides on settings that older servers do not know.

    Raises:
        ConfigError: Two fields contradict each other.
    """
    shared = list(common)
    known = {field.name for field in shared}
    of_group = {**by_dataset, ALERT_DATASET: alert, _STATE: alert_state}
    components = {
        _component("settings"): _signed({"settings": _index_settings(settings, server)}),
        _component("ecs"): _signed({"mappings": mapping(shared)}),
    }
    indices: dict[str, Mapping[str, Any]] = {}
    for group, fields in of_group.items():
        rest = [field for field in fields if field.name not in known]
        tree([*shared, *rest])  # across components the server would find a clash only with the first document
        components[_component(group)] = _signed({"mappings": mapping(rest)})
        name = f"skytrail-{group}"
        names = [ALERT_STATE_INDEX if group == _STATE else pattern(group)]
        indices[name] = _index_template(names, ["settings", "ecs", group], f"{name}@custom")
    return Templates(components, indices)


def digest_of(template: Mapping[str, Any]) -> str:
    """The digest that a template of ours carries; empty for one that is not ours."""
    meta = template.get("_meta")
    return str(meta.get("skytrail_digest", "")) if isinstance(meta, dict) else ""


def _component(name: str) -> str:
    return f"skytrail-{name}@{TEMPLATES_VERSION}"


def _index_template(patterns: list[str], components: list[str], custom: str) -> dict[str, Any]:
    body = {
        "index_patterns": patterns,
        "priority": PRIORITY,
        "composed_of": [*map(_component, components), custom],
        "ignore_missing_component_templates": [custom],
    }
    return {**body, "_meta": _meta(body)}


def _signed(template: dict[str, Any]) -> dict[str, Any]:
    return {"template": template, "version": TEMPLATES_VERSION, "_meta": _meta(template)}


def _meta(body: Mapping[str, Any]) -> dict[str, Any]:
    digest = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
    return {"managed_by": "skytrail", "skytrail_digest": digest}


def _index_settings(settings: ElasticsearchSettings, server: Version) -> dict[str, Any]:
    found: dict[str, Any] = {
        "index.mode": "standard",  # logsdb would rebuild _source and sort by a host that cloud logs do not have
        "index.number_of_shards": settings.shards,
        "index.number_of_replicas": settings.replicas,
        "index.refresh_interval": f"{settings.refresh_interval_s}s",
        "index.mapping.total_fields.limit": FIELD_LIMIT,
        "index.mapping.ignore_malformed": True,
        "index.query.default_field": list(_SEARCHED_WITHOUT_A_FIELD),
    }
    if server >= _LIMIT_IGNORED_SINCE:
        found["index.mapping.total_fields.ignore_dynamic_beyond_limit"] = True
    return found
