"""`skytrail check-certificate`: checks the certificate of a deletion or an erasure offline, with pinned keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ingest.schema.errors import ConfigError
from skytrail.cli.exits import Exit
from skytrail.cli.output import OutputOption, emit_object, say
from skytrail.cli.pins import AuthorityOption, KeyOption, WitnessOption, read_pins
from storage.verify.proof.certificate import check_certificate, parse_certificate

SCHEMA_VERSION = 1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check-certificate")(check)


def check(
    file: Annotated[Path, typer.Argument(help="The certificate.")],
    key: KeyOption = None,
    witness: WitnessOption = None,
    authority: AuthorityOption = None,
    output: OutputOption = None,
) -> None:
    """Check the certificate of a deletion or an erasure: what it was, by which rule it went, who agreed, and when.

    Needs no network, no service and no archive. Exits 0 if it holds, 1 if not. A pinned witness or authority must be
    in it. It tells of one deletion; that no hold was open then only the whole ledger tells (`skytrail verify`).

    Examples:  skytrail check-certificate c.proof --key logs.example.org/acme/1+5ad0f3b1+AZ1f...
    """
    if not key:
        raise ConfigError(
            "checking a certificate: no key is pinned, and anybody can make one with a key of his own",
            mend="--key VKEY, which you have from somewhere else than the certificate",
        )
    pins = read_pins(key, witness or [], authority or [], [])
    try:
        certificate = parse_certificate(file.read_bytes())
    except OSError as exc:
        raise ConfigError(f"reading a certificate: {exc.strerror}", where=str(exc.filename)) from exc
    except ValueError as exc:
        say(f"wrong: this is no certificate: {exc}")
        raise typer.Exit(Exit.FINDINGS) from exc
    checked, told = check_certificate(certificate, pins)
    signed = [each.key_id.hex() for each in checked.keys]
    emit_object({"schema_version": SCHEMA_VERSION, "holds": not checked.wrong, **told, "signed_by": signed}, output)
    for detail in checked.wrong:
        say(f"wrong: {detail}")
    if checked.wrong:
        raise typer.Exit(Exit.FINDINGS)
    if "records" in told:
        say(f"it holds: {told['records']:,} records, kept until {told['kept_until']}, destroyed {told['destroyed_at']}")
    else:
        say(f"it holds: {told['what']}, destroyed from {told['destroyed_from']} on")
