"""`skytrail approve`: agree to a request of somebody else. `skytrail people`: the keys with which people do."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ingest.schema.errors import ConfigError, Refused
from skytrail.cli.approving import KeyFileOption, signing
from skytrail.cli.context import context_of
from skytrail.cli.output import OutputOption, emit_object, say
from skytrail.recording import recorded
from skytrail.retaining import open_retaining
from storage.archive.manifest import instant
from storage.retention import approval


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(approve)


@recorded("approve", "change", details=("by",))
def approve(
    context: typer.Context,
    request: Annotated[Path, typer.Argument(help="The request; your signature is added to it.")],
    by: Annotated[str, typer.Option(help="Your name in the policy's people.")],
    key: KeyFileOption,
    output: OutputOption = None,
) -> None:
    """Agree to a request: shows what it asks for and adds your signature. Who asked can't agree (4).

    Examples:  skytrail approve case-7.request --by bob --key bob.pem
    """
    try:
        raw = request.read_bytes()
    except OSError as exc:
        raise ConfigError(f"reading a request: {exc.strerror}", where=str(request)) from exc
    _, asked = approval.read(raw, str(request))
    # What it is about, and not the path: that may name somebody.
    context_of(context).told |= {"action": asked.action, "namespace": asked.namespace, "subject": asked.subject}
    retaining = open_retaining(context_of(context).settings, lambda: dt.datetime.now(dt.UTC), allow_delete=True)
    if asked.namespace not in retaining.namespaces():
        raise ConfigError(f"approving: namespace {asked.namespace!r} has no ledger", where=str(request))
    if by == asked.requested_by:
        raise Refused(f"approving: {by} asked for it, so somebody else must agree", where=str(request))
    signer = signing(retaining.record(asked.namespace).now().policy, by, key)
    emit_object(msgspec.to_builtins(asked), output)
    signed = approval.approve(raw, signer, str(request))
    staged = request.with_name(f"{request.name}.{os.getpid()}")
    staged.write_bytes(signed)
    staged.replace(request)
    say(f"{by} agreed at {instant(dt.datetime.now(dt.UTC))} to {asked.action} {asked.subject} of {asked.namespace}")
