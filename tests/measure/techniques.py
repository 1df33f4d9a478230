"""Techniques of Stratus Red Team that nobody recorded a run of: which of our rules look for them, and why none does.

`techniques.toml` names a call that a technique makes and the rules that look for it. That is a claim; `fires_on` is
what backs it: the rules, of those named, that fire in one of their own tests on an event with that call, or ask for it.
"""

from __future__ import annotations

import functools
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detectors.proving import OWN_RULES
from detectors.rule_files import rule_files
from detectors.sigma.yaml_source import read_documents

_TABLE = Path(__file__).with_name("techniques.toml")


@dataclass(frozen=True, slots=True)
class Technique:
    """A technique without a recorded run.

    Attributes:
        name: As Stratus Red Team calls it.
        call: A text that logs have of it.
        rules: Ids of our rules that look for it.
        why: Why none does; empty where one does.
    """

    name: str
    call: str = ""
    rules: tuple[str, ...] = ()
    why: str = ""


@functools.cache
def techniques() -> tuple[Technique, ...]:
    """All of them, in the order of their names."""
    rows: dict[str, dict[str, Any]] = tomllib.loads(_TABLE.read_text("utf-8"))
    return tuple(
        Technique(name, row.get("call", ""), tuple(row.get("rules", ())), row.get("why", ""))
        for name, row in sorted(rows.items())
    )


def fires_on(technique: Technique) -> tuple[str, ...]:
    """The rules of a technique that ask for its call, or fire in a test of their own on an event that has it."""
    wanted = technique.call.lower()
    return tuple(rule for rule in technique.rules if wanted in _texts().get(rule, ""))


@functools.cache
def _texts() -> Mapping[str, str]:
    """Id of a rule → what it and the rules that it counts ask for, and the events on which its tests fire."""
    documents = {str(each.get("name") or each.get("id")): each for each in _documents()}
    return {name: "\n".join(_said(each, documents)).lower() for name, each in documents.items()}


def _said(document: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield json.dumps(document.get("detection"), default=str)
    yield from (json.dumps(test, default=str) for test in document.get("tests", ()) if test.get("fires"))
    for below in document.get("correlation", {}).get("rules", ()):
        if below in known:
            yield from _said(known[below], known)


def _documents() -> Iterator[Mapping[str, Any]]:
    for file in rule_files(OWN_RULES):
        yield from read_documents(file.read_text("utf-8"), where=str(file))
