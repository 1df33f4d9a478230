"""A rule: what it looks for, how grave it is, and what it tells a person.

Beside Sigma's own attributes, Skytrail reads these custom ones (docs/rules.md):

* `version`: raised with every change of meaning; without it, the first characters of the rule's hash;
* `reason`: one sentence with `{field}` placeholders;
* `runbook`: what to do, step by step;
* `suppression`: `{by: [fields], window_seconds: N}`, what folds into one alert (default: the principal, one hour);
* `tests`: events that must fire and that must not.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from detectors.attack import Tactic, Technique, read_tags
from detectors.sigma.ast import Condition, Or
from detectors.sigma.parse import ParsedSigma
from ingest.formats.contract import LogSource
from ingest.schema.errors import ConfigError

OWN_AUTHOR = "Skytrail"
PRINCIPAL_FIELD = "skytrail.principal.key"
DEFAULT_WINDOW_SECONDS = 3600
MAX_WINDOW_SECONDS = 400 * 24 * 3600  # the longest timespan of a correlation, too
DEFAULT_LEVEL = "medium"
SEVERITIES: Mapping[str, int] = {"informational": 0, "low": 21, "medium": 47, "high": 73, "critical": 99}
"""Sigma level → severity; the numbers are those that Elastic Security maps back to its own levels."""

_CONFIDENCE = {"stable": "high", "experimental": "low"}
_MEND = "correct the rule; docs/rules.md describes every attribute"


@dataclass(frozen=True, slots=True)
class RuleTest:
    """One event a rule carries: as the vendor writes it, and whether the rule must fire on it.

    Attributes:
        format: Name of the format that reads the event; None: the one that the rule's log source leads to.
    """

    name: str
    fires: bool
    event: Mapping[str, Any]
    format: str | None = None


@dataclass(frozen=True, slots=True)
class Suppression:
    """Which detections are one alert: those with equal values in `by`, within the window of event time."""

    by: tuple[str, ...] = (PRINCIPAL_FIELD,)
    window_seconds: int = DEFAULT_WINDOW_SECONDS


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, ready for an engine.

    Attributes:
        id: Stable name (`aws-trail-stopped`), part of alert ids; never changes once published.
        uuid: Sigma's own id, "" when the rule has none.
        severity: 0, 21, 47, 73 or 99.
        digest: Hex SHA-256 of the rule's content.
        source: File it was read from.
        confidence: How sure an alert is, from Sigma's status: stable high, experimental low, else medium.
    """

    id: str
    uuid: str
    version: str
    title: str
    level: str
    severity: int
    description: str
    author: str
    license: str
    references: tuple[str, ...]
    tags: tuple[str, ...]
    tactics: tuple[Tactic, ...]
    techniques: tuple[Technique, ...]
    false_positives: tuple[str, ...]
    runbook: tuple[str, ...]
    reason: str
    suppression: Suppression
    log_source: LogSource
    condition: Condition
    tests: tuple[RuleTest, ...]
    digest: str
    source: str
    confidence: str = "medium"

    @property
    def own(self) -> bool:
        """Whether we wrote it, so that our promises about rules apply to it."""
        return self.author == OWN_AUTHOR


def build_rule(parsed: ParsedSigma, *, where: str) -> Rule:
    """Complete a parsed rule with its metadata.

    Args:
        parsed: The rule as Sigma knows it.
        where: File it was read from.

    Raises:
        ConfigError: An attribute of ours has a wrong shape.
    """
    read = _Reader(parsed.document, where)
    digest = hashlib.sha256(msgspec.json.encode(parsed.document, order="sorted", enc_hook=str)).hexdigest()
    uuid = read.text("id")
    tactics, techniques, _ = read_tags(read.texts("tags"))
    level = read.level()
    return Rule(
        id=read.text("name") or uuid or _slug(where),
        uuid=uuid,
        version=read.text("version") or digest[:8],
        title=read.text("title").strip(),
        level=level,
        severity=SEVERITIES[level],
        description=read.text("description").strip(),
        author=read.text("author"),
        license=read.text("license"),
        references=read.texts("references"),
        tags=read.texts("tags"),
        tactics=tactics,
        techniques=techniques,
        false_positives=read.texts("falsepositives"),
        runbook=read.texts("runbook"),
        reason=read.text("reason").strip(),
        suppression=read.suppression(),
        log_source=parsed.log_source,
        condition=parsed.condition,
        tests=read.tests(),
        digest=digest,
        source=where,
        confidence=_CONFIDENCE.get(read.text("status").lower(), "medium"),
    )


def bare_rule(rule_id: str, version: str, title: str, level: str) -> Rule:
    """As much of a rule as its detections carry, for a worker that does not have it (any more, or yet)."""
    level = level if level in SEVERITIES else DEFAULT_LEVEL
    return Rule(
        id=rule_id,
        uuid="",
        version=version,
        title=title or rule_id,
        level=level,
        severity=SEVERITIES[level],
        description="The rule was not loaded where the alert was written: it was just added, changed or removed.",
        author="",
        license="",
        references=(),
        tags=(),
        tactics=(),
        techniques=(),
        false_positives=(),
        runbook=(),
        reason="",
        suppression=Suppression(),
        log_source=LogSource(""),
        condition=Or(()),
        tests=(),
        digest="",
        source="",
    )


class _Reader:
    """Reads attributes of one document, each checked for its shape."""

    def __init__(self, document: Mapping[str, Any], where: str) -> None:
        self._document = document
        self._where = where

    def text(self, key: str) -> str:
        value = self._document.get(key)
        if value is None:
            return ""
        if isinstance(value, list | Mapping):
            raise self._refusal(key, "a text is wanted")
        return str(value)

    def level(self) -> str:
        level = self.text("level").lower() or DEFAULT_LEVEL
        if level not in SEVERITIES:
            raise self._refusal("level", f"it is none of {', '.join(SEVERITIES)}")
        return level

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._document.get(key)
        if value is None:
            return ()
        values = value if isinstance(value, list) else [value]
        if any(isinstance(element, list | Mapping) for element in values):
            raise self._refusal(key, "a list of texts is wanted")
        return tuple(str(element) for element in values if element is not None)

    def suppression(self) -> Suppression:
        given = self._document.get("suppression")
        if given is None:
            return Suppression()
        try:
            known = msgspec.convert(given, _SuppressionForm)
        except msgspec.ValidationError as exc:
            raise self._refusal("suppression", str(exc)) from exc
        return Suppression(by=tuple(known.by) or (PRINCIPAL_FIELD,), window_seconds=known.window_seconds)

    def tests(self) -> tuple[RuleTest, ...]:
        given = self._document.get("tests")
        if given is None:
            return ()
        try:
            forms = msgspec.convert(given, list[_TestForm])
        except msgspec.ValidationError as exc:
            raise self._refusal("tests", str(exc)) from exc
        return tuple(RuleTest(form.name, form.fires, form.event, form.format) for form in forms)

    def _refusal(self, key: str, why: str) -> ConfigError:
        return ConfigError(f"reading rule: {why}", where=f"{self._where}: {key}", mend=_MEND)


class _SuppressionForm(msgspec.Struct, forbid_unknown_fields=True):
    by: list[str] = []
    window_seconds: int = DEFAULT_WINDOW_SECONDS

    def __post_init__(self) -> None:
        if not 0 <= self.window_seconds <= MAX_WINDOW_SECONDS:  # times beyond year 9999 can't be told
            raise ValueError(f"window_seconds is not between 0 and {MAX_WINDOW_SECONDS}")


class _TestForm(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    fires: bool
    event: dict[str, Any]
    format: str | None = None


def _slug(where: str) -> str:
    stem = where.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-") or "rule"
