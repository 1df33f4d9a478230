"""A `skytrail.toml` in which every setting stands as a comment: meaning, unit, default. Made from the settings type."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from skytrail.settings import Settings
from skytrail.settings_tables import NAME, choices, table_of

_WIDTH: Final = 118
_HEAD: Final = """\
# Settings of Skytrail. Every line is commented out and shows the default: take the `#` away from what you change.
# Precedence: environment SKYTRAIL_<TABLE>__<NAME>, then secret files in /run/secrets (same names, lower case), then
# this file. Give secrets by file or environment, not here.
"""


def settings_template() -> str:
    """The text of the file; valid TOML as it is, and with every default uncommented."""
    return _HEAD + "\n".join(_table(Settings, "")) + "\n"


def _table(model: type[BaseModel], path: str, mark: str = "") -> Iterator[str]:
    """Lines of one table: plain settings first, because TOML has tables after them.

    Args:
        model: The settings type of the table.
        path: Dotted name of the table; empty for the top.
        mark: Put before the head of the table: a table that must not exist by default is a comment, too.
    """
    if path:
        yield f"\n{mark}[{path}]"
    tables: list[tuple[str, type[BaseModel], str]] = []
    for name, field in model.model_fields.items():
        below = f"{path}.{name}".lstrip(".")
        inner, by_name = table_of(field)
        if inner is None:
            yield from _setting(name, field)
        else:
            own = mark if field.default is not None else "# "
            tables.append((f"{below}.{NAME}", inner, "# ") if by_name else (below, inner, own))
    tables.extend((f"{path}.{name}", inner, mark) for name, inner in choices(model).items())
    for below, inner, its_mark in sorted(tables, key=lambda table: table[2]):
        yield from _table(inner, below, its_mark)


def _setting(name: str, field: FieldInfo) -> Iterator[str]:
    yield from textwrap.wrap(field.description or "", _WIDTH, initial_indent="# ", subsequent_indent="# ")
    if field.is_required():
        yield f"# ({name} has to be set)"
        return
    literal = "" if field.default_factory else _literal(field.default)
    yield f"# {name} = {literal}" if literal else f"# ({name} is not set)"


def _literal(value: Any) -> str:
    """A value as TOML; empty for what TOML can't say."""
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return '""'
    if isinstance(value, Path):
        return json.dumps(str(value))
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(str(k))} = {_literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
