"""Which fields a format can fill, so that a rule that can never match says so.

Known are: the registered ECS fields of the format, its aliases, and the vendor's own names (`vendor_fields.toml`).
A format without an entry there is not judged. What a format leaves to another one stands there, too.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from detectors.sigma.ast import And, Condition, FieldMatch, Or, Text
from ingest.formats.contract import Format
from ingest.schema.common_fields import COMMON_FIELDS
from ingest.schema.fields import Field, Registry


@functools.cache
def _vendor_fields() -> Mapping[str, Any]:
    return tomllib.loads(Path(__file__).with_name("vendor_fields.toml").read_text("utf-8"))


@functools.cache  # thousands of rules ask for the same few
def _registry(fields: tuple[Field, ...]) -> Registry:
    return Registry([*COMMON_FIELDS, *fields])


def read_elsewhere(format_: Format, condition: Condition) -> str:
    """The format that reads every event which could satisfy a condition, where it is not this one; else "".

    Args:
        format_: The format whose events the rule sees.
        condition: Of the rule.
    """
    for row in _vendor_fields().get(format_.name, {}).get("elsewhere", ()):
        if _demands(condition, functools.partial(_begins, format_, row["field"], row["begins"].lower())):
            return str(row["format"])
    return ""


def _begins(format_: Format, field: str, begin: str, leaf: FieldMatch) -> bool:
    """Whether a leaf asks a field for a text that begins so."""
    if field not in (leaf.field, format_.aliases.get(leaf.field)) or not isinstance(leaf.test, Text):
        return False
    first = leaf.test.parts[0] if leaf.test.parts else ""
    return isinstance(first, str) and first.lower().startswith(begin)


def _demands(condition: Condition, holds: Callable[[FieldMatch], bool]) -> bool:
    """Whether a condition can hold only where a leaf of this kind holds."""
    match condition:
        case And(parts):
            return any(_demands(part, holds) for part in parts)
        case Or(parts):
            return bool(parts) and all(_demands(part, holds) for part in parts)
        case FieldMatch():
            return holds(condition)
        case _:
            return False


def fills(format_: Format, field: str) -> bool:
    """Whether events of a format can have a field of this name, case ignored as in the evaluation."""
    known = _vendor_fields().get(format_.name)
    if known is None or field in format_.aliases or _registry(tuple(format_.fields)).allows(field):
        return True
    name = ".".join(part for part in field.lower().split(".") if not part.isdecimal())
    names = [known_name.lower() for known_name in known["fields"]]
    roots = [root.lower() for root in known["open"]]
    return any(name == n or n.startswith(f"{name}.") for n in names) or any(
        name == root or name.startswith(f"{root}.") or root.startswith(f"{name}.") for root in roots
    )
