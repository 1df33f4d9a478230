"""`skytrail check-proof`: checks the proof of one event offline, with pinned keys."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Any

import typer

from ingest.schema.errors import ConfigError
from skytrail.cli.exits import Exit
from skytrail.cli.output import OutputOption, emit_object, say
from skytrail.cli.pins import AuthorityOption, KeyOption, WitnessOption, read_pins
from storage.verify.proof.checking import Checked, check_proof
from storage.verify.proof.document import Proof, parse_proof

SCHEMA_VERSION = 1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check-proof")(check)


def check(
    file: Annotated[Path, typer.Argument(help="The proof.")],
    key: KeyOption = None,
    witness: WitnessOption = None,
    authority: AuthorityOption = None,
    record: Annotated[
        Path | None, typer.Option(help="File with the exact bytes of the event that it shall be about.")
    ] = None,
    output: OutputOption = None,
) -> None:
    """Check the proof that one event was sealed. Needs no network, no service and no archive.

    Exits 0 if it holds, 1 if not. A pinned witness or authority must be in it.

    Examples:  skytrail check-proof event.proof --key logs.example.org/acme/1+5ad0f3b1+AZ1f...
               skytrail check-proof event.proof --key auditor.keys --witness customer.example/1+... --record event.json
    """
    if not key:
        raise ConfigError(
            "checking a proof: no key is pinned, and anybody can make a proof with a key of his own",
            mend="--key VKEY, which you have from somewhere else than the proof",
        )
    pins = read_pins(key, witness or [], authority or [], [])
    try:
        proof, wanted = parse_proof(file.read_bytes()), record.read_bytes() if record else None
    except OSError as exc:
        raise ConfigError(f"reading a proof: {exc.strerror}", where=str(exc.filename)) from exc
    except ValueError as exc:
        say(f"wrong: this is no proof: {exc}")
        raise typer.Exit(Exit.FINDINGS) from exc
    checked = check_proof(proof, pins, wanted)
    emit_object(_told(proof, checked), output)
    for detail in checked.wrong:
        say(f"wrong: {detail}")
    for detail in checked.unchecked:
        say(f"not checked: {detail}")
    if checked.wrong:
        raise typer.Exit(Exit.FINDINGS)
    say("it holds: this record was sealed at this place" + ("" if proof.record or wanted else " (its leaf is given)"))


def _told(proof: Proof, checked: Checked) -> dict[str, Any]:
    """What the proof is about and worth."""
    manifest, ledger = proof.manifest, proof.ledger
    return {
        "schema_version": SCHEMA_VERSION,
        "holds": not checked.wrong,
        "namespace": manifest["namespace"],
        "topic": manifest["stream"]["topic"],
        "partition": manifest["stream"]["partition"],
        "offset": proof.offset,
        "index": proof.index,
        "leaf": proof.leaf.hex(),
        "bytes": None if proof.record is None else len(proof.record),
        "sealed_at": manifest["sealed_at"],
        "segment": manifest["seq"],
        "log": ledger.checkpoint.origin,
        "entry": ledger.index,
        "size": ledger.checkpoint.size,
        "signed_by": [key.key_id.hex() for key in checked.keys],
        "cosigned": {name: _iso(time) for name, time in checked.cosigned.items()},
        "stamped": {name: _iso(time) for name, time in checked.stamped.items()},
        "wrong": checked.wrong,
        "unchecked": checked.unchecked,
    }


def _iso(seconds: float) -> str:
    try:
        return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):
        return f"beyond all times ({seconds} s)"  # a witness may sign any number
