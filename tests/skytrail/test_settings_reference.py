"""The page of settings is the one that the settings type makes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from ingest.settings import CollectorSettings
from ingest.transports.registry import all_transports
from skytrail.settings import Settings
from skytrail.settings_reference import page
from skytrail.settings_tables import table_of

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every setting, those below names of the user's choice included."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from names(inner, f"{prefix}{name}.")
        elif name == "collectors":
            yield from names(CollectorSettings, f"{prefix}{name}.NAME.")
            for transport, own in all_transports().items():
                yield from names(own, f"{prefix}{name}.NAME.{transport}.")
        elif (table := table_of(field))[0] is not None:
            yield from names(table[0], f"{prefix}{name}.NAME." if table[1] else f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def test_the_committed_page_is_the_generated_one() -> None:
    assert PAGE.read_text("utf-8") == page(), "python -m skytrail.settings_reference > docs/settings.md"


@pytest.mark.parametrize("name", list(names(Settings)))
def test_each_setting_stands_there_once_with_its_environment_name(name: str) -> None:
    variable = "SKYTRAIL_" + name.upper().replace(".", "__")
    rows = [line for line in page().splitlines() if line.startswith(f"| `{name}` |")]
    assert len(rows) == 1
    assert rows[0].endswith(f"| `{variable}` |")


def test_settings_of_collectors_logins_and_transports_are_covered() -> None:
    covered = set(names(Settings))
    assert {"elasticsearch.reader.api_key", "collectors.NAME.format", "collectors.NAME.files.paths"} <= covered
    assert "collectors.NAME.kubernetes_webhook.port" in covered


def test_a_cell_never_breaks_its_table() -> None:
    tables = [line for line in page().splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in tables} == {6}


def test_no_default_depends_on_the_machine() -> None:
    row = next(line for line in page().splitlines() if line.startswith("| `state_dir` |"))
    assert "| see above |" in row
