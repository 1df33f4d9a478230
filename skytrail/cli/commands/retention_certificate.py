"""`skytrail retention destroyed` and `certificate`: what was destroyed, and proof of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from ingest.schema.errors import ConfigError, IntegrityError
from skytrail.cli.commands.retention import group
from skytrail.cli.context import context_of
from skytrail.cli.output import OutputOption, emit_rows, say
from skytrail.cli.places import opened
from skytrail.recording import recorded
from skytrail.retaining import Retaining, open_retaining
from storage.verify.proof.certificate import make_certificate
from storage.verify.proof.making import Unprovable

COLUMNS = ("tombstone", "namespace", "decision", "records", "kept_until", "announced_at", "destroyed_at", "because")
NamespaceOption = Annotated[str | None, typer.Option("--namespace", "-n", help="Only this one.")]


def register(_: typer.Typer) -> None:
    """Add the commands to the group `retention`."""
    group.command("destroyed")(retention_destroyed)
    group.command("certificate")(retention_certificate)


@recorded("retention.destroyed", details=("namespace",))
def retention_destroyed(context: typer.Context, namespace: NamespaceOption = None, output: OutputOption = None) -> None:
    """List what was destroyed, by whose rule, and when; what was announced and not done has no `destroyed_at`.

    Examples:  skytrail retention destroyed   |   skytrail retention destroyed -n acme -o json
    """
    retaining = open_retaining(context_of(context).settings, lambda: dt.datetime.now(dt.UTC), allow_delete=True)
    wanted = [name for name in retaining.namespaces() if namespace in (None, name)]
    emit_rows(_rows(retaining, wanted), output, columns=COLUMNS)


@recorded("retention.certificate", target="tombstone", details=("namespace", "out"))
def retention_certificate(
    context: typer.Context,
    tombstone: Annotated[str, typer.Argument(metavar="TOMBSTONE", help="As `retention destroyed` lists it.")],
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Whose logs they were.")],
    out: Annotated[Path, typer.Option("--out", help="File to write.")],
) -> None:
    """Write the certificate of a deletion: a third party checks it offline with a key of the ledger.

    It has the policy, the tombstone with its approvals, the receipt and the manifests of what is gone, each with its
    path to one signed checkpoint.

    Examples:  skytrail retention certificate segments/skytrail.raw.aws.cloudtrail.v1/0/0-127 -n acme --out c.proof
    """
    settings = context_of(context).settings
    place = opened(settings.archive_place)
    try:
        made = make_certificate(place, namespace, settings.ledger.epoch, tombstone)
    except Unprovable as exc:
        mend = "`skytrail retention destroyed` lists them; an earlier epoch: --config with its ledger.epoch"
        raise ConfigError(f"certifying: {exc}", where=str(place), mend=mend) from exc
    except (OSError, ValueError) as exc:
        raise IntegrityError(f"certifying: {exc}", where=str(place), mend="run `skytrail verify`") from exc
    body = made.encode()
    out.write_bytes(body)
    say(f"{len(body):,} bytes: {len(made.entries)} entries of {made.checkpoint.origin}")
    say("next: skytrail check-certificate FILE --key VKEY")


def _rows(retaining: Retaining, namespaces: list[str]) -> Iterator[dict[str, Any]]:
    for namespace in namespaces:
        state = retaining.record(namespace).now()
        for stone in state.tombstones.values():
            receipt = state.receipts.get(stone.id)
            yield {
                "tombstone": stone.id,
                "namespace": namespace,
                "tier": stone.tier,
                "dataset": stone.dataset,
                "decision": stone.decision,
                "records": stone.documents or sum(each.n for each in stone.segments),
                "kept_until": stone.until,
                "because": stone.because,
                "approved": bool(stone.request),
                "announced_at": stone.at,
                "destroyed_at": receipt.at if receipt else None,
            }
