"""Which fields a format can fill, so that a rule that can never match says so.

Known are: the registered ECS fields of the format, its aliases, and the vendor's own names (`vendor_fields.toml`).
A format without an entry there is not judged.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ingest.formats.contract import Format
from ingest.schema.common_fields import COMMON_FIELDS
from ingest.schema.fields import Field, Registry


@functools.cache
def _vendor_fields() -> Mapping[str, Any]:
    return tomllib.loads(Path(__file__).with_name("vendor_fields.toml").read_text("utf-8"))


@functools.cache  # thousands of rules ask for the same few
def _registry(fields: tuple[Field, ...]) -> Registry:
    return Registry([*COMMON_FIELDS, *fields])


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
