"""The verifier keys of the ledgers that this installation keeps, for its own check of its archive."""

from __future__ import annotations

from collections.abc import Iterator

from skytrail.settings import Settings
from storage.ledger.keyring import KeyRing
from storage.ledger.log import LogIdentity
from storage.verify.ledger.notes import VerifierKey, parse_vkey
from storage.verify.places import Place


def own_keys(settings: Settings, place: Place) -> tuple[VerifierKey, ...]:
    """The keys of the keys file for the logs that an archive has; none where there is no keys file.

    Raises:
        ConfigError: The keys file is damaged.
        OSError: The archive can't be read.
    """
    return tuple(_keys(settings, place)) if settings.keys_file.exists() else ()


def _keys(settings: Settings, place: Place) -> Iterator[VerifierKey]:
    pairs = KeyRing(settings.keys_file).pairs()
    for namespace in place.names(""):
        if not namespace.endswith("/") or "log/" not in place.names(namespace[:-1]):
            continue
        for epoch in place.names(f"{namespace}log"):
            if epoch[:-1].isdecimal():
                log = LogIdentity(settings.ledger.organisation, int(epoch[:-1]), namespace[:-1])
                yield from (parse_vkey(str(key)) for pair in pairs for key in pair.verifier_keys(log.origin))
