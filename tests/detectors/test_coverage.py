"""Who looks for which technique."""

from __future__ import annotations

import json
import re
from typing import Annotated, Literal

import msgspec
import pytest

from detectors.attack import read_tags, technique
from detectors.coverage import Covered, cloud_techniques, coverage, navigator_layer
from detectors.rule import Rule
from tests.detectors.shipped import shipped
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


def test_techniques_of_entra_id_are_not_hidden_from_the_layer() -> None:
    layer = navigator_layer(coverage([], ["azure"]), name="n", products=["azure"], version="abc")
    assert layer["filters"] == {"platforms": ["IaaS", "Identity Provider"]}


class _Version(msgspec.Struct, forbid_unknown_fields=True):
    navigator: str
    layer: Literal["4.5"]
    attack: str | None = None


class _Named(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    value: str


class _Link(msgspec.Struct, forbid_unknown_fields=True):
    label: str
    url: str


class _Legend(msgspec.Struct, forbid_unknown_fields=True):
    label: str
    color: Annotated[str, msgspec.Meta(pattern="^#[0-9a-f]{6}$")]


class _Filters(msgspec.Struct, forbid_unknown_fields=True):
    platforms: list[str] = []


class _Layout(msgspec.Struct, forbid_unknown_fields=True):
    layout: Literal["side", "flat", "mini"] = "side"
    showID: bool = False  # noqa: N815 - as the format spells it, here and below
    showName: bool = True  # noqa: N815
    showAggregateScores: bool = False  # noqa: N815
    countUnscored: bool = False  # noqa: N815
    aggregateFunction: Literal["average", "min", "max", "sum"] = "average"  # noqa: N815
    expandedSubtechniques: Literal["none", "all", "annotated"] = "none"  # noqa: N815


class _Technique(msgspec.Struct, forbid_unknown_fields=True):
    techniqueID: Annotated[str, msgspec.Meta(pattern=r"^T\d{4}(\.\d{3})?$")]  # noqa: N815
    tactic: str | None = None
    comment: str = ""
    enabled: bool = True
    score: float | None = None
    color: Annotated[str, msgspec.Meta(pattern="^(#[0-9a-f]{6})?$")] = ""
    metadata: list[_Named] = []
    links: list[_Link] = []
    showSubtechniques: bool = False  # noqa: N815


class _Gradient(msgspec.Struct, forbid_unknown_fields=True):
    colors: Annotated[list[str], msgspec.Meta(min_length=2)]
    minValue: float  # noqa: N815
    maxValue: float  # noqa: N815


class _Layer(msgspec.Struct, forbid_unknown_fields=True):
    """Format 4.5, from its tables: every property, its type, which are required, which values there are.

    https://github.com/mitre-attack/attack-navigator/blob/master/layers/spec/v4.5/layerformat.md
    """

    name: str
    domain: Literal["enterprise-attack", "mobile-attack", "ics-attack"]
    versions: _Version
    description: str = ""
    customDataURL: str | None = None  # noqa: N815
    filters: _Filters | None = None
    sorting: Literal[0, 1, 2, 3] = 0
    layout: _Layout | None = None
    hideDisabled: bool = False  # noqa: N815
    techniques: list[_Technique] = []
    gradient: _Gradient | None = None
    legendItems: list[_Legend] = []  # noqa: N815
    showTacticRowBackground: bool = False  # noqa: N815
    tacticRowBackground: str = "#dddddd"  # noqa: N815
    selectTechniquesAcrossTactics: bool = True  # noqa: N815
    selectSubtechniquesWithParent: bool = True  # noqa: N815
    selectVisibleTechniques: bool = False  # noqa: N815
    metadata: list[_Named] = []
    links: list[_Link] = []


@pytest.mark.parametrize("products", [("aws",), ("kubernetes",), ("aws", "azure", "gcp", "kubernetes", "oci")], ids=len)
def test_the_layer_of_the_shipped_rules_is_of_the_published_format(products: tuple[str, ...]) -> None:
    found = coverage(shipped().everything, products)
    written = json.dumps(navigator_layer(found, name="Skytrail rules", products=products, version="abc"))
    layer = msgspec.json.decode(written, type=_Layer)
    assert tuple(map(int, layer.versions.navigator.split("."))) >= (4, 9, 0)
    assert layer.gradient
    assert layer.gradient.maxValue > layer.gradient.minValue
    ids = [cell.techniqueID for cell in layer.techniques]
    assert len(ids) == len(set(ids)) > 20
    assert all(cell.score is None or 0 <= cell.score <= layer.gradient.maxValue for cell in layer.techniques)
    parents = {name.partition(".")[0] for name in ids if "." in name}
    assert all(cell.techniqueID in parents for cell in layer.techniques if cell.showSubtechniques)
