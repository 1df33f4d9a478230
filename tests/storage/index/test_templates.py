"""Templates are generated from the field registry, with core types only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

import pytest

from ingest.schema.common_fields import COMMON_FIELDS
from ingest.schema.errors import ConfigError
from ingest.schema.fields import Field, FieldType
from storage.index.install import may_meet, refuse_foreign
from storage.index.mapping import mapping, tree
from storage.index.templates import Templates, build, digest_of
from storage.settings import ElasticsearchSettings

CORE = {"keyword", "text", "flattened", "ip", "date", "boolean", "long", "double", "geo_point", "object"}
EVERY_TYPE = tuple(Field(f"vendor.{type_}_field", type_, "x") for type_ in get_args(FieldType))


def templates(server=(8, 19, 8), **settings: Any) -> Templates:
    return build(
        COMMON_FIELDS,
        {"aws.cloudtrail": EVERY_TYPE},
        [Field("rule.name", "name", "x")],
        [Field("skytrail.alert.owner", "keyword", "x")],
        settings=ElasticsearchSettings(**settings),
        server=server,
    )


def leaves(properties: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, body in properties.items():
        if "properties" in body:
            yield from ((f"{name}.{rest}", leaf) for rest, leaf in leaves(body["properties"]))
        else:
            yield name, body
            yield from ((f"{name}.{sub}", leaf) for sub, leaf in body.get("fields", {}).items())


def test_only_field_types_of_the_core_are_used() -> None:
    for component in templates().components.values():
        found = component["template"].get("mappings", {}).get("properties", {})
        assert {leaf["type"] for _, leaf in leaves(found)} <= CORE


def test_every_registered_field_is_mapped() -> None:
    ecs = templates().components["skytrail-ecs@1"]["template"]["mappings"]["properties"]
    assert {field.name for field in COMMON_FIELDS} <= {name for name, _ in leaves(ecs)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("name_field", {"type": "keyword", "ignore_above": 1024, "fields": {"text": {"type": "text"}}}),
        ("wildcard_field", {"type": "keyword", "ignore_above": 8191, "fields": {"text": {"type": "text"}}}),
        ("raw_field", {"type": "keyword", "index": False, "doc_values": False}),
        ("flattened_field", {"type": "flattened", "ignore_above": 8191, "depth_limit": 20}),
        ("ip_field", {"type": "ip", "ignore_malformed": True}),
        ("object_field", {"type": "object", "dynamic": True}),
    ],
)
def test_our_types_become_core_types(name, expected) -> None:
    vendor = templates().components["skytrail-aws.cloudtrail@1"]["template"]["mappings"]["properties"]["vendor"]
    assert vendor["properties"][name] == expected


def test_unknown_fields_are_stored_but_not_mapped_except_below_object_fields() -> None:
    mappings = templates().components["skytrail-aws.cloudtrail@1"]["template"]["mappings"]
    assert mappings["dynamic"] is False
    assert mappings["date_detection"] is False
    (rule,) = mappings["dynamic_templates"][0].values()
    assert rule["path_match"] == "vendor.object_field.*"
    assert rule["mapping"]["type"] == "keyword"


def test_index_templates_win_over_stock_ones_and_make_plain_indices() -> None:
    body = templates().indices["skytrail-aws.cloudtrail"]
    assert body["priority"] == 300
    assert body["index_patterns"] == ["logs-aws.cloudtrail-*-*"]
    assert "data_stream" not in body
    assert body["composed_of"] == [
        "skytrail-settings@1",
        "skytrail-ecs@1",
        "skytrail-aws.cloudtrail@1",
        "skytrail-aws.cloudtrail@custom",
    ]
    assert body["ignore_missing_component_templates"] == ["skytrail-aws.cloudtrail@custom"]


def test_alerts_and_their_state_have_templates() -> None:
    indices = templates().indices
    assert indices["skytrail-skytrail.alert"]["index_patterns"] == ["logs-skytrail.alert-*-*"]
    assert indices["skytrail-alert-state"]["index_patterns"] == ["skytrail-alert-state"]


def test_settings_follow_the_configuration_and_name_no_pipeline() -> None:
    found = templates(shards=3, replicas=1, refresh_interval_s=30).components["skytrail-settings@1"]
    settings = found["template"]["settings"]
    assert settings["index.number_of_shards"] == 3
    assert settings["index.number_of_replicas"] == 1
    assert settings["index.refresh_interval"] == "30s"
    assert settings["index.mapping.total_fields.limit"] == 2500
    assert settings["index.mapping.ignore_malformed"] is True
    assert settings["index.mode"] == "standard"
    assert not any("pipeline" in name for name in settings)


def test_older_servers_are_spared_settings_they_do_not_know() -> None:
    name = "index.mapping.total_fields.ignore_dynamic_beyond_limit"
    assert name in templates((8, 14, 0)).components["skytrail-settings@1"]["template"]["settings"]
    assert name not in templates((8, 13, 4)).components["skytrail-settings@1"]["template"]["settings"]


def test_the_digest_tells_whether_a_template_changed() -> None:
    one, same, other = templates(), templates(), templates(shards=2)
    name = "skytrail-settings@1"
    assert digest_of(one.components[name]) == digest_of(same.components[name]) != ""
    assert digest_of(one.components[name]) != digest_of(other.components[name])
    assert digest_of({"priority": 100}) == ""


def test_a_name_that_is_value_and_object_at_once_is_refused() -> None:
    with pytest.raises(ConfigError, match="contradicts"):
        tree([Field("a.b", "keyword", "x"), Field("a.b.c", "keyword", "x")])
    with pytest.raises(ConfigError, match="contradicts"):
        tree([Field("a", "keyword", "x"), Field("a", "long", "x")])


def test_fields_below_a_flattened_field_are_covered_by_it() -> None:
    found = mapping([Field("labels", "flattened", "x"), Field("labels.skytrail_a", "keyword", "x")])
    assert found["properties"]["labels"]["type"] == "flattened"


@pytest.mark.parametrize("priority", [300, 500])
def test_a_foreign_template_that_would_win_is_refused_with_its_name(priority) -> None:
    foreign = {"index_patterns": ["logs-*-*"], "priority": priority, "data_stream": {}}
    with pytest.raises(ConfigError, match=r"mine .*would apply instead of skytrail-") as caught:
        refuse_foreign(templates(), {"mine": foreign})
    assert "below 300" in caught.value.mend


def test_the_stock_template_and_foreign_patterns_are_left_alone() -> None:
    refuse_foreign(
        templates(),
        {
            "logs": {"index_patterns": ["logs-*-*"], "priority": 100, "data_stream": {}},
            "other": {"index_patterns": ["metrics-*", "logs-nginx.access-*"], "priority": 900},
            "skytrail-aws.cloudtrail": {"index_patterns": ["logs-aws.cloudtrail-*"], "priority": 300},
            "legacy": {"index_patterns": ["logs-*"]},
        },
    )
    assert templates().indices  # nothing was raised


@pytest.mark.parametrize(
    ("left", "right", "meet"),
    [
        ("logs-*-*", "logs-aws.cloudtrail-*-*", True),
        ("logs-aws*", "logs-aws.cloudtrail-*-*", True),
        ("*", "skytrail-alert-state", True),
        ("*trail-default-*", "logs-aws.cloudtrail-*-*", True),
        ("metrics-*", "logs-aws.cloudtrail-*-*", False),
        ("logs-aws.vpcflow-*", "logs-aws.cloudtrail-*-*", False),
        ("skytrail-alert", "skytrail-alert-state", False),
        ("", "", True),
        ("*a*", "*b*", True),
        ("a*", "b*", False),
    ],
)
def test_patterns_meet_when_some_name_matches_both(left, right, meet) -> None:
    assert may_meet(left, right) is meet
    assert may_meet(right, left) is meet
