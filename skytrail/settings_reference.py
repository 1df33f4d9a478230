"""The page `docs/settings.md`, made from the settings type.

Regenerate it after a change of a setting:  ``python -m skytrail.settings_reference > docs/settings.md``
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import AwareDatetime, BaseModel, SecretStr
from pydantic.fields import FieldInfo

from skytrail.settings import PREFIX, SECRETS_DIR, Settings
from skytrail.settings_tables import NAME, choices, table_of

_PLAIN: Final[Mapping[Any, str]] = {
    str: "text",
    bool: "true or false",
    int: "whole number",
    float: "number",
    Path: "path",
    SecretStr: "secret text",
    AwareDatetime: "time with its offset from UTC",
    dt.date: "date",
}
_UNITS: Final = {"_ms": "milliseconds", "_s": "seconds", "_h": "hours", "_d": "days", "_bytes": "bytes"}
_BOUNDS: Final = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than", "pattern": "matching"}

_HEAD: Final = f"""\
# Settings

This page is made from the settings type; do not edit it. Make it again with
`python -m skytrail.settings_reference > docs/settings.md`; a test compares the two.

Every setting can come from four places. The first one that has it wins:

1. the environment: the name in the last column;
2. a file in `{SECRETS_DIR}` with the same name in lower case, whose content is the value;
3. the settings file: the path given with `--config`, else the one in `SKYTRAIL_CONFIG`, else the first that exists of
   `./skytrail.toml`, `$XDG_CONFIG_HOME/skytrail/config.toml` (`~/.config` when that is not set) and
   `/etc/skytrail/config.toml`;
4. the default below.

- An unknown name is refused in each of them, also a misspelt variable that begins with `{PREFIX}`.
- In the environment a list or a table is written as JSON: `{PREFIX}WORKER__METRICS_PORT='{{"seal": 9464}}'`.
- In the settings file `kafka.username` is the line `username = "…"` below `[kafka]`.
- `{NAME}` stands for a name of your choice. In the environment such names are read in lower case.
- A collector has the table of its transport: with `transport = "files"` that is `[collectors.{NAME}.files]`; those of
  other transports are refused.
- Give secrets by file or environment, not in the settings file.
- A `.env` file is read by Docker Compose, not by Skytrail.
- Without `state_dir`, root uses `/var/lib/skytrail/state`; everyone else uses `$XDG_STATE_HOME/skytrail`, or
  `~/.local/state/skytrail` when that is not set.

`skytrail init` writes a `skytrail.toml` that has every setting as a comment.
"""
_ROW: Final = "| {} | {} | {} | {} | {} |"


def page() -> str:
    """The whole page, as Markdown."""
    return "\n".join([_HEAD, *_section(Settings, "")]) + "\n"


def _section(model: type[BaseModel], path: str) -> Iterator[str]:
    """One table for the plain settings of a model, then the sections of the models inside it."""
    title = f"`[{path}]`" if path else "Top"
    yield f"## {title}\n"
    yield f"{_first_line(model)}\n"
    yield _ROW.format("setting", "type", "default", "meaning", "environment")
    yield _ROW.format(*["---"] * 5)
    below: list[tuple[str, type[BaseModel]]] = []
    for name, field in model.model_fields.items():
        dotted = f"{path}.{name}" if path else name
        inner, by_name = table_of(field)
        if inner is None:
            yield _setting(dotted, name, field)
        elif by_name:
            kind = f"tables, each under a name of your choice: see `[{dotted}.{NAME}]`"
            yield _ROW.format(f"`{dotted}`", kind, "none", field.description, "see there")
            below.append((f"{dotted}.{NAME}", inner))
        else:
            below.append((dotted, inner))
    below.extend((f"{path}.{name}", inner) for name, inner in choices(model).items())
    if not path or any(table_of(field)[0] is None for field in model.model_fields.values()):
        yield ""
    for inner_path, inner in below:
        yield from _section(inner, inner_path)


def _setting(dotted: str, name: str, field: FieldInfo) -> str:
    variable = PREFIX + dotted.upper().replace(".", "__")
    cells = (f"`{dotted}`", _kind(name, field), _default(field), field.description or "", f"`{variable}`")
    return _ROW.format(*map(_cell, cells))


def _cell(text: str) -> str:
    """Text that Markdown shows as it is; what stands in backticks already does, but for the bar of the table."""
    parts = text.replace("|", "\\|").split("`")
    return "`".join(part if number % 2 else part.replace("<", "\\<") for number, part in enumerate(parts))


def _kind(name: str, field: FieldInfo) -> str:
    """Type, unit and bounds in words."""
    unit = next((word for ending, word in _UNITS.items() if name.endswith(ending)), "")
    bounds = [
        f"{words} {f'`{value}`' if bound == 'pattern' else _number(value)}"
        for constraint in field.metadata
        for bound, words in _BOUNDS.items()
        if (value := getattr(constraint, bound, None)) is not None
    ]
    return ", ".join(filter(None, [_type(field.annotation), unit, *bounds]))


def _type(annotation: Any) -> str:
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    inner = get_args(annotation)
    match get_origin(annotation):
        case origin if origin is Literal:
            return "one of " + ", ".join(f"`{value}`" if value else "empty" for value in inner)
        case origin if origin is Annotated:
            return _type(inner[0])
        case origin if origin is tuple:
            return f"list of {_type(inner[0])}"
        case origin if origin is dict:
            return f"table: name = {_type(inner[1])}"
        case origin if origin in (Union, types.UnionType):
            return " or ".join(_type(part) for part in inner if part is not type(None))
    raise TypeError(f"no words for the type {annotation}: add them here")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "has to be set"
    if field.default_factory is not None:
        return "see above"
    value = field.default
    if value is None:
        return "not set"
    if isinstance(value, SecretStr) or value in ("", (), {}):
        return "empty"
    return f"`{_number(value)}`" if isinstance(value, int | float) else f"`{value}`"


def _number(value: Any) -> str:
    """As TOML writes it."""
    return json.dumps(value)


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().splitlines()[0]


if __name__ == "__main__":
    sys.stdout.write(page())
