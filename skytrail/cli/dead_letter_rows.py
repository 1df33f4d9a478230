"""How dead letters and their redrives are shown: rows and objects."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping
from typing import Any

import msgspec

from ingest.schema.dead_letter import DeadLetter
from streams.dead_letters import Filed, Redrive, namespace_of
from streams.redriving import Result


class Tally:
    """Results by what they have in common, so that a million letters make a few rows.

    Attributes:
        dead: Letters that stay dead.
        revived: Letters that were redriven, or would be.
        records: Records published, or that would be.
    """

    def __init__(self) -> None:
        self.rows: dict[tuple[str, ...], dict[str, Any]] = {}
        self.dead = 0
        self.records = 0
        self.revived = 0

    def add(self, result: Result) -> None:
        """Count one result."""
        letter, why = result.letter, result.why if result.outcome == "stays dead" else ""
        alike = (result.outcome, namespace_of(letter), _format(letter), letter.stage, letter.reason, why)
        names = ("outcome", "namespace", "format", "stage", "reason", "why")
        row = self.rows.setdefault(
            alike, {**dict(zip(names, alike, strict=True)), "letters": 0, "records": 0, "example": letter.id}
        )
        row["letters"] += 1
        row["records"] += result.records
        self.dead += result.outcome == "stays dead"
        self.revived += result.outcome in ("redriven", "would be redriven")
        self.records += result.records

    def summary(self, *, dry_run: bool) -> str:
        """One line for the person, with the next step."""
        verb = "would be redriven" if dry_run else "redriven"
        next_step = "add --yes to do it" if dry_run else "skytrail status --wait"
        dead = f", {self.dead:,} stay dead" if self.dead else ""
        return f"{self.revived:,} letters {verb} as {self.records:,} records{dead}. Next: {next_step}"


def _format(letter: DeadLetter) -> str:
    return letter.header.format if letter.header else ""


def _redriven_at(letter_id: str, redrives: Mapping[str, Redrive]) -> str | None:
    return _utc(redrives[letter_id].at) if letter_id in redrives else None


def row(filed: Filed, redrives: Mapping[str, Redrive]) -> dict[str, Any]:
    """A letter in a list."""
    letter = filed.letter
    return {
        "id": filed.id,
        "refused_at": _utc(letter.refused_at),
        "stage": letter.stage,
        "reason": letter.reason,
        "namespace": namespace_of(letter),
        "format": _format(letter),
        "size": letter.size,
        "redriven_at": _redriven_at(filed.id, redrives),
        "message": letter.message,
        "locator": letter.header.origin.locator if letter.header else None,
        "position": str(letter.position) if letter.position else None,
    }


def described(letter: DeadLetter, redrives: Mapping[str, Redrive]) -> dict[str, Any]:
    """Everything about a letter but its body."""
    plain: dict[str, Any] = msgspec.to_builtins(letter)
    del plain["body"]
    return {
        "id": letter.id,
        **plain,
        "refused_at": _utc(letter.refused_at),
        "redriven_at": _redriven_at(letter.id, redrives),
        "redriven_times": redrives[letter.id].times if letter.id in redrives else 0,
    }


def readable(body: bytes) -> dict[str, str]:
    """A body as JSON can hold it: text, or base64 where it is no UTF-8."""
    try:
        return {"encoding": "utf-8", "body": body.decode("utf-8")}
    except UnicodeDecodeError:
        return {"encoding": "base64", "body": base64.b64encode(body).decode()}


def flat(letter: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """What a letter's table shows: name and value of everything that is set."""
    return [(name, value) for name, value in letter.items() if value not in (None, "")]


def _utc(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
