"""What a back-test came to, as a file, and how a later one differs from it.

A file of JSON lines: the first says what it is and of which rules, each other is an alert. Two alerts are the same when
rule, namespace, group and time of the first match are; of correlations, when their id is, for which match completes one
depends on the order of arrival. What is said about them may differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from ingest.schema.errors import ConfigError

KIND: Final = "skytrail-backtest"
SCHEMA_VERSION: Final = 2
SHOWN: Final = 100
"""Changes of one rule that are listed; all are counted."""

Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Told:
    """An alert of a back-test.

    Attributes:
        at: Event time of the match that opened it, ISO 8601 in UTC; of a correlation, that completed it.
        group: What it folds on.
        namespace: Of the archive; of files, `default`.
        alert: Its id, of a correlation alone.
    """

    rule_id: str
    at: str
    group: str
    principal: str = ""
    uid: str = ""
    reason: str = ""
    namespace: str = ""
    alert: str = ""

    @property
    def key(self) -> Key:
        """What makes it the same alert in another run."""
        return self.rule_id, self.namespace, self.alert or self.at, self.group

    def plain(self) -> dict[str, str]:
        """As one object."""
        return {
            "rule_id": self.rule_id,
            "at": self.at,
            "group": self.group,
            "principal": self.principal,
            "uid": self.uid,
            "reason": self.reason,
            "namespace": self.namespace,
            "alert": self.alert,
        }


@dataclass(slots=True)
class Change:
    """How the alerts of one rule differ from those that were expected."""

    new: int = 0
    gone: int = 0
    same: int = 0
    listed: list[dict[str, str]] = field(default_factory=list)

    def note(self, kind: Literal["new", "gone"], told: Told) -> None:
        """Count an alert that is in one of the outcomes only."""
        if kind == "new":
            self.new += 1
        else:
            self.gone += 1
        if len(self.listed) < SHOWN:
            self.listed.append({"change": kind, **told.plain()})


def write(path: Path, rules: Sequence[str], alerts: Iterable[Told]) -> int:
    """Write an outcome; returns how many alerts it has.

    Raises:
        ConfigError: The file can't be written.
    """
    head = {"kind": KIND, "schema_version": SCHEMA_VERSION, "rules": sorted(rules)}
    count = 0
    try:
        with path.open("w", encoding="utf-8") as file:
            file.write(json.dumps(head) + "\n")
            for told in sorted(alerts, key=lambda one: one.key):
                file.write(json.dumps(told.plain(), ensure_ascii=False) + "\n")
                count += 1
    except OSError as exc:
        raise ConfigError(f"writing the outcome: {exc.strerror}", where=str(path), mend="name another file") from exc
    return count


def read(path: Path) -> dict[Key, Told]:
    """The alerts of a written outcome.

    Raises:
        ConfigError: The file can't be read, or is no outcome.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
        return {told.key: told for told in _alerts(lines)}
    except OSError as exc:
        raise ConfigError(f"reading the outcome: {exc.strerror}", where=str(path), mend="name a readable file") from exc
    except (ValueError, TypeError, KeyError) as exc:
        raise ConfigError(
            f"reading the outcome: it is none ({type(exc).__name__}: {exc})",
            where=str(path),
            mend="write it with `skytrail rules backtest … --save FILE`",
        ) from exc


def compare(expected: Mapping[Key, Told], found: Mapping[Key, Told]) -> dict[str, Change]:
    """The differences by rule; a rule without any alert in either has none."""
    changes: dict[str, Change] = {}
    for key in sorted(expected.keys() | found.keys()):
        change = changes.setdefault(key[0], Change())
        if key not in expected:
            change.note("new", found[key])
        elif key not in found:
            change.note("gone", expected[key])
        else:
            change.same += 1
    return changes


def _alerts(lines: Sequence[str]) -> Iterator[Told]:
    head: Any = json.loads(lines[0]) if lines else {}
    if not isinstance(head, dict) or (head.get("kind"), head.get("schema_version")) != (KIND, SCHEMA_VERSION):
        raise ValueError(f"its first line does not say {KIND} {SCHEMA_VERSION}")
    for line in lines[1:]:
        yield Told(**{name: str(value) for name, value in json.loads(line).items()})
