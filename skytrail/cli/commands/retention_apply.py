"""`skytrail retention apply` and `request`: carry out a stored plan, and ask others to agree to it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from ingest.schema.errors import ConfigError
from skytrail.cli.approving import KeyFileOption, signing
from skytrail.cli.commands.retention import group
from skytrail.cli.context import context_of
from skytrail.cli.exits import Exit
from skytrail.cli.output import OutputOption, emit_rows, say
from skytrail.deleting import elastic_indices, means, trusted
from skytrail.recording import recorded
from skytrail.retaining import open_retaining
from skytrail.settings import Settings
from storage.archive.manifest import digest, instant
from storage.retention.applying import Approved, Outcome, Result
from storage.retention.approval import Request, ask, read
from storage.retention.offers import read_plan
from storage.retention.plan import Plan
from storage.retention.rotation import carry_out

COLUMNS = ("outcome", "place", "tombstone", "detail")
PlanArgument = Annotated[Path, typer.Argument(help="What `retention plan --out` wrote.")]


def register(_: typer.Typer) -> None:
    """Add the commands to the group `retention`."""
    group.command("apply")(retention_apply)
    group.command("request")(retention_request)


@recorded("retention.apply", "deletion", target="plan", details=("request",))
def retention_apply(
    context: typer.Context,
    plan: PlanArgument,
    request: Annotated[
        list[Path] | None,
        typer.Option(help="Signed request for this plan; one per namespace whose policy asks for approvals."),
    ] = None,
    output: OutputOption = None,
) -> None:
    """Carry out a stored plan: tombstone in the ledger, witnesses, deletion, receipt. Can be stopped and run again.

    Every item is judged again before it is announced and before it is deleted: what is held, not past its minimum, not
    sealed or not as it was sealed stays. What an earlier run left unfinished is finished first. Exit 5: not all done.

    Examples:  skytrail retention plan --out plan.json  &&  skytrail retention apply plan.json
               skytrail retention apply plan.json --request acme.request
    """
    body, stored = read_plan(plan)
    settings = context_of(context).connected(kafka=False)
    requests = dict(map(_request, request or []))
    results: list[Result] = []

    def rows() -> Iterator[dict[str, Any]]:
        for result in _carried_out(settings, stored, digest(body), requests):
            results.append(result)
            yield msgspec.to_builtins(result)

    emit_rows(rows(), output, columns=COLUMNS)
    done = sum(result.outcome is Outcome.DONE for result in results)
    say(f"{done:,} of {len(results):,} done; `skytrail verify` shows that what is left is complete")
    if done < len(results):
        say("what was not done says why; run the same plan again, or make a new one")
        raise typer.Exit(Exit.INCOMPLETE)


@recorded("retention.request", "change", target="plan", details=("namespace", "reason", "by"))
def retention_request(
    context: typer.Context,
    plan: PlanArgument,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Whose part of the plan.")],
    reason: Annotated[str, typer.Option(help="Why; it stays in the ledger for ever.")],
    by: Annotated[str, typer.Option(help="Your name in the policy's people.")],
    key: KeyFileOption,
    out: Annotated[Path, typer.Option(help="File to write, for those who are to agree.")],
) -> None:
    """Ask others to agree to a plan, where the policy wants that (approvals.expiry); they sign with `skytrail approve`.

    Examples:  skytrail retention request plan.json -n acme --reason monthly --by alice --key a.pem --out acme.request
    """
    body, _ = read_plan(plan)
    retaining = open_retaining(context_of(context).settings, lambda: dt.datetime.now(dt.UTC), allow_delete=True)
    asked = Request(
        action="expiry",
        namespace=namespace,
        subject=digest(body),
        reason=reason,
        requested_by=by,
        at=instant(dt.datetime.now(dt.UTC)),
    )
    state = retaining.record(namespace).now()
    out.write_bytes(ask(asked, signing(state.policy, by, key)))
    needed = state.policy.approvals.expiry if state.policy else 0
    say(f"{out}: {needed} others must agree: skytrail approve {out} --by NAME --key FILE")


def _carried_out(settings: Settings, plan: Plan, sha256: str, requests: dict[str, str]) -> Iterator[Result]:
    retaining = open_retaining(settings, lambda: dt.datetime.now(dt.UTC), allow_delete=True)
    with elastic_indices(settings.elasticsearch) as indices:
        now = indices.runner.run(trusted(retaining, indices.reader, dt.datetime.now(dt.UTC)))
        records = {namespace: retaining.record(namespace) for namespace in retaining.namespaces()}
        approved = {namespace: Approved(sha256, requests.get(namespace, "")) for namespace in records}
        yield from carry_out(records, means(retaining, indices, settings.ledger, now), plan, approved)


def _request(path: Path) -> tuple[str, str]:
    """The namespace that a request is about, and its text."""
    try:
        raw = path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"reading a request: {exc.strerror}", where=str(path)) from exc
    _, asked = read(raw, str(path))
    return asked.namespace, raw.decode()
