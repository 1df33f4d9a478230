"""Whom this installation believes in its own check of its archive: the keys of its ledgers, its authorities."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography.x509 import Certificate

from skytrail.settings import Settings
from storage.ledger.keyring import KeyRing
from storage.ledger.log import LogIdentity
from storage.ledger.stamping import read_certificates
from storage.verify.ledger.notes import VerifierKey, parse_vkey
from storage.verify.places import Place


def own_keys(settings: Settings, place: Place) -> tuple[VerifierKey, ...]:
    """The keys of the keys file for the logs that an archive has; none where there is no keys file.

    Raises:
        ConfigError: The keys file is damaged.
        OSError: The archive can't be read.
    """
    return tuple(_keys(settings, place)) if settings.keys_file.exists() else ()


def own_authorities(settings: Settings) -> tuple[Certificate, ...]:
    """The certificates of the time stamping authorities of the settings.

    Raises:
        ConfigError: A file of them can't be read.
    """
    named = settings.ledger.authorities.items()
    return tuple(each for name, authority in named for each in read_certificates(authority.ca_file, name))


def _keys(settings: Settings, place: Place) -> Iterator[VerifierKey]:
    pairs = KeyRing(settings.keys_file).pairs()
    for namespace in place.names(""):
        if not namespace.endswith("/") or "log/" not in place.names(namespace[:-1]):
            continue
        for epoch in place.names(f"{namespace}log"):
            if epoch[:-1].isdecimal():
                log = LogIdentity(settings.ledger.organisation, int(epoch[:-1]), namespace[:-1])
                yield from (parse_vkey(str(key)) for pair in pairs for key in pair.verifier_keys(log.origin))
