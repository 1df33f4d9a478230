"""How checks are shown: to a person as a table with signs, to a program with every attribute."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from skytrail.cli.output import Output, chosen, emit_object, emit_rows, say
from skytrail.diagnosis.check import Check, State

COLUMNS = ("state", "name", "found", "mend")
SIGNS: Mapping[State, str] = {"ok": "✓ ok", "warn": "! warn", "fail": "✗ fail", "skipped": "- skipped"}


def show_checks(
    checks: Sequence[Check], output: Output | None, *, ok: bool, about: Mapping[str, Any] | None = None
) -> None:
    """Print checks, and how many of each kind there are.

    Args:
        checks: In their order.
        output: As asked for.
        ok: The verdict, for programs.
        about: What the checks are about, for programs.
    """
    match chosen(output):
        case Output.JSON:
            rows = [dataclasses.asdict(check) for check in checks]
            emit_object({"schema_version": 1, **(about or {}), "ok": ok, "checks": rows}, output)
        case Output.TABLE:
            emit_rows(map(_row, checks), output, columns=COLUMNS)
        case _:
            emit_rows(map(dataclasses.asdict, checks), output, columns=("name", "state", "found", "mend", "denied"))
    counts = Counter(check.state for check in checks)
    say(", ".join(f"{counts[state]} {state}" for state in SIGNS if counts[state]))


def _row(check: Check) -> dict[str, Any]:
    severity = {"fail": "high", "warn": "medium"}.get(check.state, "")
    return {**dataclasses.asdict(check), "state": SIGNS[check.state], "severity": severity}
