"""Sigma filters: conditions that are added to rules from outside, and exceptions, which are filters with an end.

A filter without `expires` becomes part of the rules it covers when they are loaded, as the specification says. With
`expires` it is an exception: it is asked after a rule matched, so that what it keeps from people is counted, and it
ends by itself. An exception must say who owns it and why.

https://sigmahq.io/sigma-specification/specification/sigma-filters-specification.html
"""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from detectors.rule import Rule
from detectors.sigma import ast
from detectors.sigma.parse import parse
from detectors.sigma.selections import Placeholders
from ingest.formats.contract import LogSource
from ingest.schema.errors import ConfigError

_MEND = "docs/rules.md#filters-and-exceptions shows one"
_NEEDED = ("owner", "justification")
_OF_EXCEPTIONS = (*_NEEDED, "namespaces")
_META = """title id name related taxonomy status description license author references date modified logsource fields
falsepositives level tags scope filter expires"""
_KNOWN = frozenset(_META.split()).union(_OF_EXCEPTIONS)


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition that a match has to meet as well.

    Attributes:
        id: Its name, else its UUID, else its title.
        rules: Names and ids of the rules it is about; None: all of its log source.
        tags: Of rules that it is about, in lower case; empty: whatever their tags. A technique includes its parts.
        keeps: Holds for events that stay.
        expires: Last day of an exception, UTC; None for a filter.
        namespaces: Of an exception: where it counts; empty: everywhere.
        digest: Hex SHA-256 of its content.
        source: File it was read from.
    """

    id: str
    title: str
    rules: frozenset[str] | None
    log_source: LogSource
    keeps: ast.Condition
    owner: str
    justification: str
    expires: dt.date | None
    namespaces: tuple[str, ...]
    digest: str
    source: str
    tags: frozenset[str] = frozenset()

    def covers(self, rule: Rule) -> bool:
        """Whether it is about a rule: by name or id, by a tag, and of its log source."""
        if self.rules is not None and not self.rules & {rule.id, rule.uuid}:
            return False
        if self.tags and not any(self._names(tag.lower()) for tag in rule.tags):
            return False
        own, other = self.log_source, rule.log_source
        pairs = ((own.product, other.product), (own.service, other.service), (own.category, other.category))
        return all(not wanted or wanted == given for wanted, given in pairs)

    def _names(self, tag: str) -> bool:
        return any(tag == named or tag.startswith(named + ".") for named in self.tags)

    def in_force(self, today: dt.date) -> bool:
        """Whether it has not expired."""
        return self.expires is None or today <= self.expires


def is_filter(document: Any) -> bool:
    """Whether a YAML document is a filter."""
    return isinstance(document, Mapping) and "filter" in document


def parse_filter(document: Mapping[str, Any], *, where: str, placeholders: Placeholders) -> Filter:
    """Read a filter or an exception.

    Raises:
        ConfigError: It is none that can be evaluated, or an exception without owner or justification; it has an
            unknown attribute, or one of exceptions and no end: a typo in `expires` would mute for ever.
    """
    _refuse_unread(document, where)
    body = document.get("filter")
    if not isinstance(body, Mapping):
        raise ConfigError("reading filter: `filter` is no map", where=f"{where}: filter", mend=_MEND)
    rule = {
        **{key: value for key, value in document.items() if key != "filter"},
        "detection": {key: value for key, value in body.items() if key not in ("rules", "tags")},
    }
    parsed = parse(rule, where=where, placeholders=placeholders)
    expires = _expires(document, where)
    if expires is not None:
        for name in _NEEDED:
            if not str(document.get(name) or "").strip():
                raise ConfigError(f"reading exception: it has no {name}", where=f"{where}: {name}", mend=_MEND)
    return Filter(
        id=str(document.get("name") or document.get("id") or document["title"]),
        title=str(document["title"]),
        rules=_rules(body, where),
        log_source=parsed.log_source,
        keeps=parsed.condition,
        owner=str(document.get("owner") or ""),
        justification=str(document.get("justification") or ""),
        expires=expires,
        namespaces=_namespaces(document, where),
        digest=hashlib.sha256(msgspec.json.encode(document, order="sorted", enc_hook=str)).hexdigest(),
        source=where,
        tags=_tags(body, where),
    )


def _refuse_unread(document: Mapping[str, Any], where: str) -> None:
    for key in document:
        if key not in _KNOWN:
            near = difflib.get_close_matches(str(key), _KNOWN, n=1)
            hint = f"; do you mean `{near[0]}`?" if near else ""
            raise ConfigError(f"reading filter: the key is unknown{hint}", where=f"{where}: {key}", mend=_MEND)
    for key in _OF_EXCEPTIONS:
        if key in document and document.get("expires") is None:
            raise ConfigError(
                f"reading filter: {key} is of exceptions, which have an end: `expires`",
                where=f"{where}: {key}",
                mend=_MEND,
            )
    if "expires" in document and document["expires"] is None:
        raise ConfigError("reading exception: it has no last day", where=f"{where}: expires", mend=_MEND)


def filtered(rule: Rule, by: Filter) -> Rule:
    """The rule with a filter added to its condition; its digest changes, so that alerts tell the difference."""
    digest = hashlib.sha256(f"{rule.digest} {by.digest}".encode()).hexdigest()
    return replace(rule, condition=ast.And((rule.condition, by.keeps)), digest=digest)


def _rules(body: Mapping[str, Any], where: str) -> frozenset[str] | None:
    said = body.get("rules")
    if said == "any":
        return None
    listed = [said] if isinstance(said, str) else said
    if not isinstance(listed, list) or not listed or not all(isinstance(one, str) and one for one in listed):
        raise ConfigError(
            "reading filter: `rules` is not `any`, a rule's name or id, or a list of them",
            where=f"{where}: filter.rules",
            mend=_MEND,
        )
    return frozenset(listed)


def _tags(body: Mapping[str, Any], where: str) -> frozenset[str]:
    said = body.get("tags", [])
    listed = [said] if isinstance(said, str) else said
    if not isinstance(listed, list) or not all(isinstance(one, str) and one for one in listed):
        raise ConfigError(
            "reading filter: `tags` is not a tag of rules, or a list of them", where=f"{where}: filter.tags", mend=_MEND
        )
    if "tags" in body and not listed:
        raise ConfigError(
            "reading filter: `tags` names none, which would mean rules with any tag",
            where=f"{where}: filter.tags",
            mend="name the tags, or leave the key out",
        )
    return frozenset(one.lower() for one in listed)


def _expires(document: Mapping[str, Any], where: str) -> dt.date | None:
    said = document.get("expires")
    if said is None:
        return None
    try:
        return dt.date.fromisoformat(str(said))
    except ValueError as exc:
        raise ConfigError(
            f"reading exception: {said!r} is no date", where=f"{where}: expires", mend="write it as 2026-12-31"
        ) from exc


def _namespaces(document: Mapping[str, Any], where: str) -> tuple[str, ...]:
    said = document.get("namespaces", [])
    if not isinstance(said, list) or not all(isinstance(one, str) for one in said):
        raise ConfigError("reading exception: `namespaces` is no list", where=f"{where}: namespaces", mend=_MEND)
    if "namespaces" in document and not all(said or [""]):
        raise ConfigError(
            "reading exception: `namespaces` names none, which would mean everywhere",
            where=f"{where}: namespaces",
            mend="name the namespaces, or leave the key out where it counts in all of them",
        )
    return tuple(said)
