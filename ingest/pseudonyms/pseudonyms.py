"""Pseudonyms: which namespaces have them, and documents under them. Pure; the keys are arguments.

A document under pseudonyms has tokens for personal values and lacks `event.original`; `skytrail.pseudonyms` says under
which key, for which kinds and by which version of this code, so that the same document can be made of the record again.
"""

from __future__ import annotations

import fnmatch
import functools
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ingest.formats.contract import View
from ingest.pseudonyms.personal import personal_values
from ingest.pseudonyms.replacing import Replacing
from ingest.pseudonyms.tokens import KINDS, LONGEST, REMEMBERED, Kind, Tokens

VERSION: Final = "1"
"""Of what is replaced and how: raise it whenever the same document would look different."""


class PseudonymKey:
    """One secret and the tokens under it.

    Attributes:
        id: Tells keys apart, and nothing of the secret.
    """

    def __init__(self, secret: bytes) -> None:
        self.id = hashlib.sha256(b"skytrail pseudonym key\0" + secret).hexdigest()[:12]
        self._secret = secret
        self._of = functools.lru_cache(maxsize=1024)(lambda namespace: Tokens(self._secret, namespace))
        self._token = functools.lru_cache(maxsize=REMEMBERED)(lambda namespace, value: self._of(namespace).token(value))

    def tokens(self, namespace: str) -> Tokens:
        """The tokens of a namespace."""
        return self._of(namespace)

    def token(self, namespace: str, value: str) -> str:
        """See `Tokens.token`; those of short values are remembered."""
        return self._token(namespace, value) if len(value) <= LONGEST else self._of(namespace).token(value)


class Pseudonyms:
    """What is replaced where.

    Args:
        namespaces: Patterns with ``*``.
        kinds: What becomes a token.
        keys: The newest first; it makes new tokens, the others turn back and compare what is there.

    Attributes:
        covers: Whether documents of a namespace are under pseudonyms.
    """

    def __init__(
        self, namespaces: Sequence[str] = (), kinds: Sequence[Kind] = KINDS, keys: Sequence[PseudonymKey] = ()
    ) -> None:
        self._namespaces = tuple(namespaces)
        self._kinds = tuple(kind for kind in KINDS if kind in kinds)
        self.keys = tuple(keys)
        self.covers = functools.lru_cache(maxsize=1024)(self._covers)

    def _covers(self, namespace: str) -> bool:
        """Whether documents of a namespace are under pseudonyms."""
        return any(fnmatch.fnmatchcase(namespace, each) for each in self._namespaces)

    def document(self, document: dict[str, Any]) -> dict[str, Any]:
        """A complete document as it is indexed; itself where its namespace has no pseudonyms.

        Args:
            document: As JSON has it, with nothing that JSON can't say.
        """
        if not self.covers(_namespace_of(document)):
            return document
        return _replaced(document, self.keys[0], self._kinds)

    def view(self, view: View) -> View:
        """What a rule saw of a record, in the words in which it may be told; `View.ecs` is filled, both are plain."""
        namespace = _namespace_of(view.ecs)
        if not self.covers(namespace):
            return view
        ecs, vendor = dict(view.ecs), dict(view.vendor)
        values = personal_values(ecs, vendor)
        replacing = Replacing(functools.partial(self.keys[0].token, namespace), values, self._kinds)
        return View(replacing.tree(vendor), self.document(ecs), view.final, view.member)

    def as_marked(self, document: dict[str, Any], mark: Mapping[str, Any]) -> dict[str, Any] | None:
        """A document as it was indexed under the pseudonyms that a stored one names; None where that can't be made.

        Args:
            document: Without pseudonyms.
            mark: `skytrail.pseudonyms` of the stored one.
        """
        kinds = mark.get("kinds")
        key = next((each for each in self.keys if each.id == mark.get("key")), None)
        if key is None or mark.get("version") != VERSION or not isinstance(kinds, list):
            return None
        return _replaced(document, key, tuple(kind for kind in KINDS if kind in kinds))

    def asked(self, namespace: str, value: str) -> tuple[str, ...]:
        """A value and its token under each key: how documents of a namespace may call it."""
        return (value, *(key.token(namespace, value) for key in self.keys))

    def reveal(self, namespace: str, token: str) -> tuple[Kind, str] | None:
        """What a token stands for under any key; None where it can't be told."""
        found = (key.tokens(namespace).reveal(token) for key in self.keys)
        return next((each for each in found if each is not None), None)


def mark_of(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """`skytrail.pseudonyms` of a stored document; None where it is not under any."""
    skytrail = document.get("skytrail")
    mark = skytrail.get("pseudonyms") if isinstance(skytrail, Mapping) else None
    return mark if isinstance(mark, Mapping) else None


def _namespace_of(document: Mapping[str, Any]) -> str:
    return str(document.get("data_stream", {}).get("namespace", ""))


def _replaced(document: dict[str, Any], key: PseudonymKey, kinds: tuple[Kind, ...]) -> dict[str, Any]:
    namespace = _namespace_of(document)
    made = Replacing(functools.partial(key.token, namespace), personal_values(document), kinds).document(document)
    made["event"].pop("original", None)  # escapes hide names in it, and the archive has the exact bytes
    made["skytrail"]["pseudonyms"] = {"key": key.id, "kinds": list(kinds), "version": VERSION}
    return made
