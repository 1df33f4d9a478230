"""`skytrail retention`: which laws there are, whether a policy is sound, what it would do, and why."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from ingest.schema.errors import ConfigError
from skytrail.cli.context import context_of
from skytrail.cli.output import OutputOption, emit_rows, say
from skytrail.recording import recorded
from skytrail.retaining import Retaining, open_retaining
from skytrail.settings import Settings
from storage.retention.entries import policy_entry
from storage.retention.policy import Policy, read_policy, refuse_other_past
from storage.retention.record import State, policy_digest
from storage.retention.regimes import Regime, shipped

REGIME_COLUMNS = ("id", "regime", "version", "clause", "minimum", "minimum_hot", "valid_from", "valid_to", "checked")
CLASS_COLUMNS = ("class", "namespaces", "datasets", "hot", "cold", "maximum", "purpose", "rows")

group = typer.Typer(help="How long logs are kept, and why.", no_args_is_help=True)
PolicyArgument = Annotated[Path | None, typer.Argument(help="The TOML file. Default: retention.policy_file.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group.command("regimes")(retention_regimes)
    group.command("check")(retention_check)
    group.command("adopt")(retention_adopt)
    app.add_typer(group, name="retention")


def retention_regimes(
    current: Annotated[bool, typer.Option("--current", help="Only rows that are in force today.")] = False,
    output: OutputOption = None,
) -> None:
    """List the laws and standards that a policy can name: dated rows with clause, source and periods.

    Rows without `checked` were not compared with their source lately: do that before you quote them. Not legal advice.

    Examples:  skytrail retention regimes   |   skytrail retention regimes --current -o json
    """
    today = dt.datetime.now(dt.UTC).date()
    rows = [row for row in shipped() if not current or row.in_force(today, today)]
    emit_rows(map(regime_row, rows), output, columns=REGIME_COLUMNS)
    if unchecked := sum(not row.checked for row in rows):
        say(
            f"{unchecked} of {len(rows)} rows were not compared with their source lately; -o json has sources and notes"
        )


def retention_check(context: typer.Context, policy: PolicyArgument = None, output: OutputOption = None) -> None:
    """Check a policy and show what each of its classes promises; changes nothing.

    Refused with exit code 3: unknown keys and regimes, a minimum above a maximum, a period below a minimum; the message
    names both.

    Examples:  skytrail retention check retention.toml   |   skytrail retention check -o json
    """
    path = policy_path(context_of(context).settings, policy)
    found = read_policy(path)
    emit_rows(class_rows(found), output, columns=CLASS_COLUMNS)
    say(f"{path} is sound: policy {found.name!r}, {len(found.classes)} classes, {len(found.people)} people")
    for line in too_few(found):
        say(line)


@recorded("retention.adopt", "change", target="policy")
def retention_adopt(context: typer.Context, policy: PolicyArgument = None, output: OutputOption = None) -> None:
    """Bring a policy into force: it becomes an entry in the ledger of every namespace where another one is in force.

    What is stored keeps every period that it was ever promised; the new policy lengthens and never shortens it.

    Examples:  skytrail retention adopt retention.toml   |   skytrail retention adopt -o json
    """
    settings = context_of(context).settings
    found = read_policy(policy_path(settings, policy))
    retaining = open_retaining(settings, lambda: dt.datetime.now(dt.UTC), allow_delete=True)
    rows = [adopted(retaining, namespace, found) for namespace in retaining.namespaces()]
    emit_rows(rows, output, columns=("namespace", "outcome", "policy", "sha256"))
    say("next: `skytrail retention plan` shows what follows from it; new namespaces need `retention adopt` again")


def adopted(retaining: Retaining, namespace: str, policy: Policy) -> dict[str, Any]:
    """Enter a policy in one ledger, unless it is in force there."""
    digest, outcome = policy_digest(policy), "already in force"

    def make(state: State) -> list[bytes]:
        nonlocal outcome
        if state.policy is not None and policy_digest(state.policy) == digest:
            return []
        if state.policy is not None:
            refuse_other_past(state.policy, policy, dt.datetime.now(dt.UTC).date())
        outcome = "in force"
        return [policy_entry(namespace, dt.datetime.now(dt.UTC), policy)]

    retaining.record(namespace).enter(make)
    return {"namespace": namespace, "outcome": outcome, "policy": policy.name, "sha256": digest}


def too_few(policy: Policy) -> Iterator[str]:
    """What nobody could ever do, since fewer people have keys than must agree. Nothing is destroyed by it: no error."""
    needed = {"release a hold": policy.approvals.release, "destroy what expired": policy.approvals.expiry}
    for what, others in needed.items():
        if others and len(policy.people) < others + 1:
            yield f"note: to {what} one asks and {others} agree; {len(policy.people)} people have keys in the policy"


def policy_path(settings: Settings, given: Path | None) -> Path:
    """The file that was named, or that of the settings.

    Raises:
        ConfigError: Neither.
    """
    path = given or settings.retention.policy_file
    if path is None:
        raise ConfigError(
            "looking for a retention policy: none is named",
            where="retention.policy_file",
            mend="name a file, or set retention.policy_file; docs/retention.md has one to begin with",
        )
    return path


def regime_row(row: Regime) -> dict[str, Any]:
    """A regime as a row of output; every field, periods as text."""
    return {
        "id": row.id,
        "regime": row.regime,
        "version": row.version,
        "clause": row.clause,
        "text": row.text,
        "minimum": _told(row.minimum),
        "minimum_hot": _told(row.minimum_hot),
        "maximum": _told(row.maximum),
        "needs": list(row.needs),
        "duties": list(row.duties),
        "valid_from": row.valid_from.isoformat(),
        "valid_to": row.valid_to.isoformat() if row.valid_to else None,
        "superseded_by": row.superseded_by or None,
        "source_url": row.source_url,
        "checked": row.checked or None,
        "note": row.note or None,
    }


def class_rows(policy: Policy) -> Iterator[dict[str, Any]]:
    """The classes of a policy as rows of output."""
    for rule in policy.classes:
        yield {
            "class": rule.name,
            "namespaces": list(rule.namespaces),
            "datasets": list(rule.datasets),
            "hot": _told(rule.hot),
            "cold": _told(rule.cold),
            "maximum": _told(rule.maximum),
            "purpose": rule.purpose,
            "rows": [row.id for row in policy.rows_of(rule)],
        }


def _told(period: object) -> str | None:
    return None if period is None else str(period)
