"""Finds the key providers: every file `providers/<name>.py`.

A provider is that file, with `open_provider(settings, state_dir)`. Where it has settings of its own, they are
`providers/<name>_settings.py` with `SETTINGS`, the type of its table `[archive.encryption.<name>]`: it imports no SDK,
because every command reads the settings. Adding a provider edits no file.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, create_model

_FOLDER = Path(__file__).parent / "providers"
_OWN = "_settings"
Settings = TypeVar("Settings", bound=BaseModel)


@functools.cache
def all_providers() -> tuple[str, ...]:
    """The names of the providers, in order."""
    stems = (path.stem for path in _FOLDER.glob("[a-z]*.py"))
    return tuple(sorted(stem for stem in stems if not stem.endswith(_OWN)))


@functools.cache
def provider_tables() -> Mapping[str, type[BaseModel]]:
    """The settings types of the providers that have a table of their own, by name."""
    own = (name for name in all_providers() if (_FOLDER / f"{name}{_OWN}.py").is_file())
    return {name: importlib.import_module(f"{__package__}.providers.{name}{_OWN}").SETTINGS for name in own}


def with_providers(base: type[Settings]) -> type[Settings]:
    """A settings type with the tables of all providers, whose `provider` is one of their names or `none`."""
    names = ("none", *all_providers())
    choice = base.model_fields["provider"]
    fields: dict[str, Any] = {"provider": (Literal[names], choice)}
    for name, own in provider_tables().items():
        told = Field(default=None, description=f"Settings of the provider {name}.")
        fields[name] = (own | None, told)
    name = base.__name__.removeprefix("_")  # that of the module's own name for it: it can be pickled
    return create_model(name, __base__=base, __doc__=base.__doc__, __module__=base.__module__, **fields)
