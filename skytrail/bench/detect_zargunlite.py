"""Runs zargunlite over a file; a program for the Python of its own environment, which has none of our packages.

Usage: python detect_zargunlite.py RULES_DIRECTORY EVENTS.ndjson; prints {"id": rule} for every hit.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any


def main(rules: str, events: str) -> None:
    """Load the events into its table, then run every rule as SQL."""
    core: Any = importlib.import_module("zargunlite.core")
    model: Any = importlib.import_module("zargunlite.model")
    flatten: Any = importlib.import_module("zargunlite.preprocess").flatten_json
    backend: Any = importlib.import_module("sigma.backends.sqlite").sqliteBackend()
    collection: Any = importlib.import_module("sigma.collection").SigmaCollection
    known = {"title", "id", "rule"}
    ready = [
        model.ZircoliteRule(**{name: found[name] for name in known})
        for file in sorted(Path(rules).glob("*.yml"))
        for found in json.loads(backend.convert(collection.from_yaml(file.read_text("utf-8")), "zircolite"))
    ]
    with Path(events).open("rb") as lines:
        rows = [_row(flatten(json.loads(line))) for line in lines]
    with core.ZargunCore() as engine:
        engine.load_data(rows, strict_field_name=False)
        for rule in ready:
            for _ in range(engine.execute_zircolite_rule(rule).count):
                sys.stdout.write(json.dumps({"id": rule.id}) + "\n")


def _row(flat: dict[tuple[str, ...], Any]) -> dict[str, Any]:
    """Dotted names, each in one spelling only: columns of SQLite ignore case."""
    found: dict[str, Any] = {}
    for path, value in flat.items():
        found.setdefault(".".join(path), value)
    return found


if __name__ == "__main__":
    main(*sys.argv[1:3])
