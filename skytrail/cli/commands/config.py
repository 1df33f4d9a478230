"""`skytrail config show` and `skytrail version`."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from detectors.proving import OWN_RULES, files_of_others
from detectors.rulebook import load
from ingest.document import PRODUCT_VERSION
from skytrail.cli.context import context_of
from skytrail.cli.output import Output, OutputOption, chosen, emit_object, emit_rows

DEPENDENCIES = (
    *("aiokafka", "cryptography", "elasticsearch", "faust-streaming", "kafka-python", "msgspec", "pydantic"),
    *("pysigma", "zstandard"),
)
DEFAULT = "default"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The settings.", no_args_is_help=True)
    group.command("show")(config_show)
    app.add_typer(group, name="config")
    app.command()(version)


def config_show(
    context: typer.Context,
    origin: Annotated[bool, typer.Option("--origin", help="Also say where each value came from.")] = False,
    output: OutputOption = None,
) -> None:
    """Show the settings in force; secrets are masked.

    Examples:  skytrail config show   |   skytrail config show --origin   |   skytrail config show -o json
    """
    here = context_of(context)
    values = here.settings.model_dump(mode="json")  # pydantic masks what is a secret
    if chosen(output) is Output.JSON and not origin:
        emit_object(values, output)
        return
    origins = here.origins() if origin else {}
    rows = ({"name": n, "value": v, **({"origin": _origin(n, origins)} if origin else {})} for n, v in _flat(values))
    emit_rows(rows, output, columns=("name", "value", *(("origin",) if origin else ())))


def version(context: typer.Context, output: OutputOption = None) -> None:
    """Show the versions of Skytrail, Python, the libraries that matter, and the rule set in force.

    Examples:  skytrail version   |   skytrail version -o json
    """
    detection = context_of(context).settings.detection
    book = load(
        [*([OWN_RULES] if detection.shipped_rules else []), *detection.rules],
        detection.placeholders,
        prove=files_of_others,
    )
    emit_object(
        {
            "version": PRODUCT_VERSION,
            "python": platform.python_version(),
            "ruleset": book.version,
            "rules": len(book.rules),
            "dependencies": {name: importlib.metadata.version(name) for name in DEPENDENCIES},
        },
        output,
    )


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _origin(name: str, origins: Mapping[str, str]) -> str:
    return origins.get(name, DEFAULT)
