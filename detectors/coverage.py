"""Which ATT&CK techniques the rules look for, per product, and which of those that clouds know nobody looks for. Pure.

What counts as a cloud technique, and in whose logs it can show, is data: `detectors/cloud_techniques.toml`.
"""

from __future__ import annotations

import functools
import tomllib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detectors.attack import technique
from detectors.rule import Rule

LAYER_VERSION = "4.5"
_ATTACK_VERSION = "17"
_NAVIGATOR_VERSION = "5.1.0"
_NONE, _SOME, _COLOURS = "#d6616b", "#8ec843", ["#ffffff", "#b9dd8e", "#5b9a1a"]
_FULL_SCORE = 5  # rules of one technique from which on more make it no greener
_PLATFORMS = {
    "aws": ("IaaS",),
    "azure": ("IaaS", "Identity Provider"),  # Entra ID: device registrations, for one, are of no other platform
    "gcp": ("IaaS",),
    "oci": ("IaaS",),
    "kubernetes": ("Containers",),
}


@dataclass(frozen=True, slots=True)
class Cloud:
    """A technique that clouds know; products are those whose audit logs can show it."""

    id: str
    name: str
    tactics: tuple[str, ...]
    products: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Covered:
    """One technique and who looks for it.

    Attributes:
        rules: Product → ids of the rules, in the order they were given; "" for rules of no product.
        blind: Products whose logs could show the technique and for which no rule looks.
        silent: Products of rules whose log source no configured collector brings.
    """

    id: str
    name: str
    rules: Mapping[str, tuple[str, ...]]
    blind: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Rules that look for it."""
        return len({rule for rules in self.rules.values() for rule in rules})


@functools.cache
def cloud_techniques() -> Mapping[str, Cloud]:
    """Every technique of our list, by id."""
    known: dict[str, Any] = tomllib.loads(Path(__file__).with_name("cloud_techniques.toml").read_text("utf-8"))
    return {
        identifier: Cloud(identifier, row["name"], tuple(row["tactics"]), tuple(row["products"]))
        for identifier, row in known["techniques"].items()
    }


def coverage(rules: Iterable[Rule], products: Collection[str], live: Collection[str] | None = None) -> list[Covered]:
    """Every technique that a rule cites or our list has, in the order of the ids.

    A rule for a sub-technique looks for a part of its technique, too. A rule for a technique is not taken to look for
    any sub-technique: it may well look for another one.

    Args:
        rules: The rules.
        products: Products that matter; techniques of no other are told.
        live: Products whose events are collected; None: not judged.
    """
    cited: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for rule in rules:
        if not rule.log_source.product or rule.log_source.product in products:
            for identifier in {name for one in rule.techniques for name in (one.id, one.parent)}:
                cited[identifier][rule.log_source.product].append(rule.id)
    known = cloud_techniques()
    wanted = {identifier for identifier, row in known.items() if set(row.products) & set(products)}
    found = []
    for identifier in sorted({*cited, *wanted}):
        by_product = {product: tuple(ids) for product, ids in sorted(cited.get(identifier, {}).items())}
        row = known.get(identifier)
        blind = [p for p in row.products if p in products and not {p, ""} & by_product.keys()] if row else []
        silent = [p for p in by_product if live is not None and p and p not in live]
        name = row.name if row else technique(identifier).name
        found.append(Covered(identifier, name, by_product, tuple(blind), tuple(silent)))
    return found


def navigator_layer(covered: Sequence[Covered], *, name: str, products: Sequence[str], version: str) -> dict[str, Any]:
    """A layer of the ATT&CK Navigator: green where rules look, red where none does.

    https://github.com/mitre-attack/attack-navigator/blob/master/layers/spec/v4.5/layerformat.md

    Args:
        covered: What `coverage` says.
        name: Name of the layer.
        products: The products it speaks of.
        version: Version of the rule set.
    """
    parents = {one.id.partition(".")[0] for one in covered if "." in one.id}
    return {
        "name": name,
        "versions": {"attack": _ATTACK_VERSION, "navigator": _NAVIGATOR_VERSION, "layer": LAYER_VERSION},
        "domain": "enterprise-attack",
        "description": f"Rules of rule set {version} for {', '.join(products)}; red: in the logs, but no rule looks.",
        "filters": {"platforms": _platforms(products)},
        "sorting": 3,
        "layout": {"layout": "side", "showID": True, "showName": True, "aggregateFunction": "max"},
        "hideDisabled": False,
        "techniques": [_cell(one, parents) for one in covered],
        "gradient": {"colors": _COLOURS, "minValue": 0, "maxValue": _FULL_SCORE},
        "legendItems": [
            {"label": "rules look for it", "color": _SOME},
            {"label": "its logs could show it, but no rule looks", "color": _NONE},
        ],
        "metadata": [{"name": "rule-set version", "value": version}],
        "links": [],
        "showTacticRowBackground": False,
        "selectTechniquesAcrossTactics": True,
        "selectSubtechniquesWithParent": False,
        "selectVisibleTechniques": False,
    }


def _cell(one: Covered, parents: Collection[str]) -> dict[str, Any]:
    rules = sorted({rule for ids in one.rules.values() for rule in ids})
    cell: dict[str, Any] = {
        "techniqueID": one.id,
        "score": min(one.count, _FULL_SCORE),
        "comment": ", ".join(rules) if rules else f"no rule for {', '.join(one.blind)}",
        "enabled": True,
        "metadata": [{"name": product or "any product", "value": ", ".join(ids)} for product, ids in one.rules.items()],
    }
    if one.id in parents:  # the format has this for techniques with sub-techniques only
        cell["showSubtechniques"] = True
    return cell if rules else {**cell, "color": _NONE}


def _platforms(products: Iterable[str]) -> list[str]:
    """ATT&CK's platforms of some products: the Navigator hides techniques that are of no other."""
    return sorted({name for product in products for name in _PLATFORMS.get(product, ("SaaS",))})
