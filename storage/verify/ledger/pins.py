"""What an auditor trusts beforehand: everything else follows from it or is a finding."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.x509 import Certificate

from storage.verify.ledger.notes import Checkpoint, VerifierKey


@dataclass(frozen=True, slots=True)
class Pins:
    """What is pinned.

    Attributes:
        keys: Of logs, at least one for each log.
        witnesses: Each of them must have cosigned every log; besides those that the log itself names.
        authorities: Root certificates of time stamping authorities.
        checkpoints: Seen earlier, with where they are kept: the logs must continue them.
    """

    keys: tuple[VerifierKey, ...] = ()
    witnesses: tuple[VerifierKey, ...] = ()
    authorities: tuple[Certificate, ...] = ()
    checkpoints: tuple[tuple[str, Checkpoint], ...] = ()

    def of(self, origin: str) -> list[VerifierKey]:
        """The keys pinned for a log."""
        return [key for key in self.keys if key.name == origin]

    def logs(self) -> set[str]:
        """The origins of which something is pinned."""
        return {key.name for key in self.keys} | {checkpoint.origin for _, checkpoint in self.checkpoints}


NOTHING = Pins()
