"""The keys of people who ask and approve: a file of mode 0600 each, its public side in the policy."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ingest.schema.errors import ConfigError
from storage.ledger.keyring import read_private, write_private
from storage.ledger.note import is_key_name
from storage.ledger.signing import NoteSigner


def made(name: str, file: Path) -> NoteSigner:
    """A new key for a person.

    Raises:
        ConfigError: The name can't be one, or the file can't be written; what is there stays.
    """
    if not is_key_name(name):
        raise ConfigError(
            f"making a key: {name!r} is no name of one", mend="something like alice.example.org: no space, no plus sign"
        )
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(file, Ed25519PrivateKey.generate())
    except OSError as exc:
        mend = "name a file that does not exist yet, in a directory that only this person can read"
        raise ConfigError(f"writing a key: {exc.strerror}", where=str(file), mend=mend) from exc
    return signer_of(name, file)


def signer_of(name: str, file: Path) -> NoteSigner:
    """The key of a person.

    Args:
        name: That of the verifier key: what stands before its first plus sign.
        file: The private file.

    Raises:
        ConfigError: It is missing, readable by others, or no key of a person.
    """
    private = read_private(file)
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigError("reading the key of a person: not an Ed25519 one", where=str(file))
    return NoteSigner(name, private)
