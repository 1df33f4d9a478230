"""Signing as a person of the policy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ingest.schema.errors import ConfigError, Refused
from storage.ledger.signing import NoteSigner
from storage.retention.approval import people_of
from storage.retention.people import signer_of
from storage.retention.policy import Policy

KeyFileOption = Annotated[Path, typer.Option(help="Your private key, made by `skytrail people key`.")]


def signing(policy: Policy | None, name: str, file: Path) -> NoteSigner:
    """The key of a person, if it is the one that the policy in force has of that name.

    Raises:
        ConfigError: The policy does not know the person.
        Refused: It is another key.
    """
    keys = people_of(policy) if policy else {}
    if name not in keys:
        mend = "add the verifier key to [people] of the policy, then `skytrail retention adopt`"
        raise ConfigError(f"signing as {name!r}: the policy in force does not know this person", mend=mend)
    signer = signer_of(keys[name].name, file)
    if signer.key != keys[name]:
        raise Refused(f"signing as {name}: this is not the key that the policy has", where=str(file))
    return signer
