"""`skytrail rules coverage`: which ATT&CK techniques the rules look for, and which nobody does; needs no service."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from detectors.coverage import Covered, coverage, navigator_layer
from ingest.formats.recognition import AUTO
from ingest.formats.registry import all_formats
from ingest.schema.errors import ConfigError
from skytrail.cli.commands.rules import PathsArgument, group
from skytrail.cli.context import context_of
from skytrail.cli.output import OutputOption, emit_rows, say
from skytrail.cli.rule_choice import load_rules
from skytrail.settings import Settings

_COLUMNS = ("technique", "name", "rules", "blind", "no_live_source", "rule_ids")


def register(_: typer.Typer) -> None:
    """Add the command to the group `rules`."""
    group.command("coverage")(rules_coverage)


def rules_coverage(
    context: typer.Context,
    paths: PathsArgument = None,
    product: Annotated[
        list[str] | None,
        typer.Option(help="Only this product (aws, kubernetes, …); repeatable. Default: all formats'."),
    ] = None,
    blind: Annotated[
        bool, typer.Option("--blind", help="Only what no rule looks for, or no collector brings.")
    ] = False,
    navigator: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a layer of the ATT&CK Navigator to this file.")
    ] = None,
    output: OutputOption = None,
) -> None:
    """Say which rules look for each ATT&CK technique, and which techniques of clouds are blind spots.

    `blind` names products whose logs could show the technique and for which no rule looks. `no_live_source` names
    products whose rules see nothing, because no collector of the settings brings their format; it is judged when the
    settings have collectors.

    Examples:  skytrail rules coverage --blind   |   skytrail rules coverage --navigator layer.json --product aws
    """
    book = load_rules(context, paths)
    products = _products(product)
    found = coverage(book.everything, products, _live(context_of(context).settings))
    shown = [one for one in found if not blind or one.blind or one.silent]
    emit_rows(map(_row, shown), output, columns=_COLUMNS)
    if navigator:
        layer = navigator_layer(found, name="Skytrail rules", products=products, version=book.version)
        _write(navigator, json.dumps(layer, indent=2) + "\n")
    say(_summary(found, products))


def _write(file: Path, layer: str) -> None:
    try:
        file.write_text(layer, "utf-8")
    except OSError as exc:
        raise ConfigError(f"writing the layer: {exc.strerror}", where=str(file), mend="name another file") from exc


def _products(asked: list[str] | None) -> list[str]:
    known = sorted({format_.log_source.product for format_ in all_formats().values()})
    for one in asked or ():
        if one not in known:
            raise ConfigError(f"choosing product: no format is of {one!r}", mend=f"use one of: {', '.join(known)}")
    return asked or known


def _live(settings: Settings) -> set[str] | None:
    """Products of the configured collectors' formats; None where no collectors tell, or one that takes any format."""
    formats = all_formats()
    if any(one.format == AUTO for one in settings.collectors.values()):
        return None
    live = {formats[one.format].log_source.product for one in settings.collectors.values() if one.format in formats}
    return live or None


def _row(one: Covered) -> dict[str, Any]:
    ids = sorted({rule for rules in one.rules.values() for rule in rules})
    return {
        "technique": one.id,
        "name": one.name,
        "rules": one.count,
        "blind": list(one.blind),
        "no_live_source": list(one.silent),
        "rule_ids": ids,
        "by_product": {product or "any": list(rules) for product, rules in one.rules.items()},
    }


def _summary(found: Iterable[Covered], products: Iterable[str]) -> str:
    listed = list(found)
    blind = [one for one in listed if one.blind]
    whole = sum(1 for one in blind if not one.count)
    parts = [f"{product} {sum(1 for one in blind if product in one.blind)}" for product in products]
    return (
        f"{len(listed)} techniques, {sum(1 for one in listed if one.count)} with a rule, {whole} without any; "
        f"blind spots by product: {', '.join(parts)}"
    )
