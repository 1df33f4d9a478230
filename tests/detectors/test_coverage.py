"""Who looks for which technique."""

from __future__ import annotations

import json
import re

import pytest

from detectors.attack import read_tags, technique
from detectors.coverage import Covered, cloud_techniques, coverage, navigator_layer
from detectors.rule import Rule
from tests.detectors.sigma.building import rule


def tagged(name: str, *tags: str, product: str = "aws") -> Rule:
    return rule({"a": {"x": "1"}, "condition": "a"}, name=name, tags=list(tags), logsource={"product": product})


def covered(
    *rules: Rule, products: tuple[str, ...] = ("aws", "kubernetes"), live: set[str] | None = None
) -> dict[str, Covered]:
    return {one.id: one for one in coverage(rules, products, live)}


def test_a_technique_without_a_rule_is_blind_for_the_products_that_could_show_it() -> None:
    found = covered()
    assert found["T1578.002"].blind == ("aws",)
    assert found["T1609"].blind == ("kubernetes",)
    assert found["T1609"].count == 0


def test_a_rule_closes_the_blind_spot_of_its_own_product_only() -> None:
    found = covered(tagged("one", "attack.t1525"))
    assert found["T1525"].rules == {"aws": ("one",)}
    assert found["T1525"].blind == ("kubernetes",)


def test_a_rule_without_product_looks_everywhere() -> None:
    broad = rule(
        {"a": {"x": "1"}, "condition": "a"}, name="broad", tags=["attack.t1525"], logsource={"service": "audit"}
    )
    assert covered(broad)["T1525"].blind == ()


def test_a_part_of_a_technique_says_something_of_the_whole_but_not_the_other_way_round() -> None:
    part = covered(tagged("part", "attack.t1546.003"))
    assert part["T1546"].count == 1
    whole = covered(tagged("whole", "attack.t1578"))
    assert whole["T1578"].count == 1
    assert whole["T1578.002"].count == 0


def test_a_rule_whose_source_nobody_collects_is_told() -> None:
    found = covered(tagged("one", "attack.t1525"), live={"kubernetes"})
    assert found["T1525"].silent == ("aws",)
    assert covered(tagged("one", "attack.t1525"))["T1525"].silent == ()


def test_products_that_nobody_asked_for_are_left_out() -> None:
    found = covered(tagged("one", "attack.t1525"), products=("kubernetes",))
    assert found["T1525"].count == 0
    assert "T1578.002" not in found


@pytest.mark.parametrize("identifier", cloud_techniques())
def test_the_list_of_cloud_techniques_is_well_formed(identifier: str) -> None:
    row = cloud_techniques()[identifier]
    assert re.fullmatch(r"T\d{4}(\.\d{3})?", identifier)
    assert row.products
    assert set(row.products) <= {"aws", "azure", "gcp", "kubernetes"}
    tactics, _, unknown = read_tags(f"attack.{tactic}" for tactic in row.tactics)
    assert len(tactics) == len(row.tactics)
    assert unknown == ()
    known = technique(identifier).name
    assert not known or row.name.endswith(known), "detectors/attack.toml has another name for it"


def test_the_layer_is_what_the_navigator_reads() -> None:
    found = coverage([tagged("one", "attack.t1525")], ["aws"])
    layer = json.loads(json.dumps(navigator_layer(found, name="n", products=["aws"], version="abc")))
    assert layer["versions"]["layer"] == "4.5"
    assert layer["domain"] == "enterprise-attack"
    assert layer["filters"]["platforms"] == ["IaaS"]
    cells = {cell["techniqueID"]: cell for cell in layer["techniques"]}
    assert cells["T1525"]["score"] == 1
    assert cells["T1525"]["comment"] == "one"
    assert cells["T1578.002"]["score"] == 0
    assert cells["T1578.002"]["color"]
