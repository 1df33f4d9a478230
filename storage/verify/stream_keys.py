"""Data keys of the segments of a chain, and what it means where one is not there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from storage.verify.encryption import KeySource
from storage.verify.findings import Checking, Finding, Kind, Site
from storage.verify.groups import is_subject_key
from storage.verify.ledger.namespace import Vouched

_SHREDDED = "the data key {} was destroyed, as the ledger says; stored bytes, leaves and root are as they were sealed"
_HELD = "the data key {} was to be destroyed and stays: the hold {} is open in its namespace, as the ledger says"


@dataclass(slots=True)
class StreamKeys:
    """Each key is looked for once per chain, and what is wrong with it is told once, at its first segment.

    Args:
        namespace: Of the chain.
        source: Where keys come from; None: whoever asks has none.
        vouched: What the ledger says: which keys are to be destroyed.
    """

    namespace: str
    source: KeySource | None
    vouched: Vouched | None
    _known: dict[str, bytes | None] = field(init=False, default_factory=dict)
    _shredded: dict[str, frozenset[str]] = field(init=False, default_factory=dict)
    _principals: frozenset[str] | None = field(init=False, default=None)

    @property
    def subjects(self) -> Path | None:
        """Directory of the table of subjects' keys, where there is one."""
        return self.source.subjects if self.source is not None else None

    def of(self, key_id: str, site: Site) -> Checking[bytes | None]:
        """A data key, where it is there."""
        if key_id not in self._known:
            key, finding = self._looked_for(key_id, site)
            self._known[key_id] = key
            if finding is not None:
                yield finding
        return self._known[key_id]

    def shredded_below(self, month_key: str) -> frozenset[str]:
        """Ids of the subjects' keys under a month's key that are to be destroyed, as a sound ledger says."""
        if month_key not in self._shredded:
            said = self.vouched.lawful.shredded if self.vouched is not None and self.vouched.sound else ()
            self._shredded[month_key] = frozenset(key for key in said if is_subject_key(key, month_key))
        return self._shredded[month_key]

    @property
    def principals(self) -> frozenset[str]:
        """Whom holds name that were open when somebody was to be erased, or are open since."""
        if self._principals is None:
            sound = self.vouched is not None and self.vouched.sound
            self._principals = self.vouched.lawful.principals if self.vouched is not None and sound else frozenset()
        return self._principals

    def _looked_for(self, key_id: str, site: Site) -> tuple[bytes | None, Finding | None]:
        shredded = self.vouched is not None and self.vouched.sound and key_id in self.vouched.lawful.shredded
        try:
            key = self.source.key(self.namespace, key_id) if self.source is not None else None
        except OSError as exc:
            detail = f"the data key {key_id} can't be opened, so no record from here on was compared: {exc.strerror}"
            return None, site.finding(Kind.UNCHECKED, detail)
        if shredded and key is None:
            return None, site.finding(Kind.ERASED, _SHREDDED.format(key_id))
        holds = self.vouched.lawful.open_holds() if self.vouched is not None else []
        if shredded and holds:
            return key, site.finding(Kind.HELD, _HELD.format(key_id, holds[0]["id"]))
        if shredded:
            detail = f"the ledger says that the data key {key_id} was to be destroyed, and it is still in the key table"
            return key, site.finding(Kind.KEPT, detail)
        if self.source is None:
            detail = f"encrypted under the data key {key_id}, which is not here: no record from here on was compared"
            return None, site.finding(Kind.UNCHECKED, detail)
        if key is None:
            detail = f"the data key {key_id} is not in the key table, and no entry of the ledger says that it was to go"
            return None, site.finding(Kind.MISSING, detail)
        return key, None
