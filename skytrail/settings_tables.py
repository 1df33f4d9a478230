"""Which tables the settings type has, for the pages made from it."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ingest.settings import CollectorSettings
from ingest.transports.registry import all_transports

NAME = "NAME"
"""Stands for a name of the user's choice."""


def table_of(field: FieldInfo) -> tuple[type[BaseModel] | None, bool]:
    """The model that a setting is (also where it may be left out), or holds under names of the user's choice: True."""
    by_name = get_origin(field.annotation) is dict
    inner = get_args(field.annotation)[1] if by_name else field.annotation
    if get_origin(inner) is types.UnionType:
        inner = next(part for part in get_args(inner) if part is not types.NoneType)
    if get_origin(inner) is Annotated:
        inner = get_args(inner)[0]
    return (inner, by_name) if isinstance(inner, type) and issubclass(inner, BaseModel) else (None, False)


def choices(model: type[BaseModel]) -> Mapping[str, type[BaseModel]]:
    """Tables of which a table has one, by name: a collector has that of its transport."""
    return all_transports() if model is CollectorSettings else {}
