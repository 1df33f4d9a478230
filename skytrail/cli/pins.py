"""Reads what an auditor pins on the command line: verifier keys, witnesses, checkpoints, certificates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from cryptography.x509 import Certificate, load_pem_x509_certificates

from ingest.schema.errors import ConfigError
from storage.verify.ledger.notes import Checkpoint, VerifierKey, parse_checkpoint, parse_vkey
from storage.verify.ledger.pins import Pins

KeyOption = Annotated[
    list[str] | None,
    typer.Option(help="Verifier key of a log that you trust, or a file with one on each line. Repeatable."),
]
WitnessOption = Annotated[
    list[str] | None, typer.Option(help="Verifier key of a witness that must have cosigned. Repeatable.")
]
AuthorityOption = Annotated[
    list[Path] | None, typer.Option(help="Root certificate (PEM) of a time stamping authority. Repeatable.")
]
_MEND = "a verifier key is name+id+base64, as `skytrail keys list` shows it; or give a file with one on each line"


def read_pins(
    keys: Iterable[str], witnesses: Iterable[str], authorities: Iterable[Path], checkpoints: Iterable[Path]
) -> Pins:
    """What is pinned.

    Args:
        keys: Verifier keys of logs, or files with one on each line.
        witnesses: The same of witnesses.
        authorities: PEM files of root certificates.
        checkpoints: Files with a checkpoint each.

    Raises:
        ConfigError: One of them is not what it should be.
    """
    return Pins(
        keys=tuple(_keys(keys)),
        witnesses=tuple(_keys(witnesses)),
        authorities=tuple(certificate for path in authorities for certificate in _certificates(path)),
        checkpoints=tuple((str(path), _checkpoint(path)) for path in checkpoints),
    )


def _keys(given: Iterable[str]) -> Iterator[VerifierKey]:
    for text in given:
        try:
            lines = [text] if "+" in text else Path(text).read_text("utf-8").splitlines()
            yield from (parse_vkey(line.strip()) for line in lines if line.strip() and line[0] != "#")
        except (OSError, ValueError) as exc:
            raise ConfigError(f"reading a verifier key: {exc}", where=text[:120], mend=_MEND) from exc


def _certificates(path: Path) -> list[Certificate]:
    try:
        return load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as exc:
        raise ConfigError(f"reading a certificate: {exc}", where=str(path), mend="give a PEM file") from exc


def _checkpoint(path: Path) -> Checkpoint:
    try:
        return parse_checkpoint(path.read_bytes())
    except (OSError, ValueError) as exc:
        mend = "give a copy of <namespace>/log/<epoch>/checkpoint that you kept"
        raise ConfigError(f"reading a checkpoint: {exc}", where=str(path), mend=mend) from exc
