"""What an auditor trusts beforehand: everything else follows from it or is a finding."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.x509 import Certificate

from storage.verify.ledger.notes import VerifierKey


@dataclass(frozen=True, slots=True)
class Pins:
    """Pinned keys.

    Attributes:
        keys: Of logs, at least one for each log.
        witnesses: Besides those that the log itself names.
        authorities: Root certificates of time stamping authorities.
    """

    keys: tuple[VerifierKey, ...] = ()
    witnesses: tuple[VerifierKey, ...] = ()
    authorities: tuple[Certificate, ...] = ()

    def of(self, origin: str) -> list[VerifierKey]:
        """The keys pinned for a log."""
        return [key for key in self.keys if key.name == origin]


NOTHING = Pins()
