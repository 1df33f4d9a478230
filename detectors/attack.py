"""Reads `attack.…` tags of Sigma as ATT&CK tactics and techniques with their names.

Names come from `detectors/attack.toml`; https://attack.mitre.org.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TECHNIQUE = re.compile(r"t(\d{4})(?:\.(\d{3}))?$")
_SITE = "https://attack.mitre.org"


@dataclass(frozen=True, slots=True)
class Tactic:
    """What an attacker wants."""

    id: str
    name: str

    @property
    def reference(self) -> str:
        """Page of the tactic."""
        return f"{_SITE}/tactics/{self.id}/"


@dataclass(frozen=True, slots=True)
class Technique:
    """How an attacker gets it; a sub-technique has an id with a dot. The name is "" when it is not in our file."""

    id: str
    name: str

    @property
    def parent(self) -> str:
        """Id of the technique that a sub-technique belongs to, else its own id."""
        return self.id.partition(".")[0]

    @property
    def reference(self) -> str:
        """Page of the technique."""
        return f"{_SITE}/techniques/{self.id.replace('.', '/')}/"


@functools.cache
def _names() -> Mapping[str, Any]:
    return tomllib.loads(Path(__file__).with_name("attack.toml").read_text("utf-8"))


def technique(identifier: str) -> Technique:
    """The technique of an id such as T1562.008."""
    return Technique(identifier, _names()["techniques"].get(identifier, ""))


def read_tags(tags: Iterable[str]) -> tuple[tuple[Tactic, ...], tuple[Technique, ...], tuple[str, ...]]:
    """Tactics, techniques, and the `attack.` tags that are neither (groups, software, misspelt)."""
    tactics: dict[str, Tactic] = {}
    techniques: dict[str, Technique] = {}
    unknown = []
    for tag in tags:
        namespace, _, name = tag.lower().partition(".")
        if namespace != "attack":
            continue
        found = _TECHNIQUE.match(name)
        known = _names()["tactics"].get(name.replace("_", "-"))
        if found:
            identifier = name.upper()
            techniques[identifier] = technique(identifier)
        elif known:
            tactics[known[0]] = Tactic(*known)
        else:
            unknown.append(tag)
    return tuple(tactics.values()), tuple(techniques.values()), tuple(unknown)
