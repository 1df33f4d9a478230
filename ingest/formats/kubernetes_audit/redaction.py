"""Taking secrets out of a record before anything of it reaches a document or an alert. The archive keeps the bytes.

Replaced by `"<redacted>"`: tokens of token requests and reviews (`spec.token`, `status.token`); in bodies of an event
on secrets everything below `data` and `stringData`, values of patches, and the copy that `kubectl apply` keeps in an
annotation; JSON web tokens and `token=` parameters wherever they stand. Of config maps, which people also keep
credentials in, what is a credential by its name or its form (`credentials.py`). Everything else keeps its exact bytes.

Events inside wrappers are JSON in a string: that string is opened, redacted and written again.
"""

from __future__ import annotations

import re

import orjson

from ingest.formats.kubernetes_audit.credentials import is_credential, without_credentials
from ingest.parsing.json_value import json_text
from ingest.parsing.web_tokens import without_web_tokens

_REPLACED = b'"<redacted>"'
_PARAMETER = re.compile(rb'([?&](?:(?:access|id|refresh)_)?token=)[^&"\\\s]+', re.IGNORECASE)
_ON_SECRETS = re.compile(
    rb'"(?:kind|resource)\\*"\s*:\s*\\*"(?:Secret|SecretList|secrets)\\*"|/v1/(?:namespaces/[^/"\\]+/)?secrets\b'
)
_ON_CONFIG_MAPS = re.compile(
    rb'"(?:kind|resource)\\*"\s*:\s*\\*"(?:ConfigMap|ConfigMapList|configmaps)\\*"'
    rb'|/v1/(?:namespaces/[^/"\\]+/)?configmaps\b'
)
_TOKEN_KEY = re.compile(rb'"token\\*"\s*:')
# A text that does not end is taken to the end of all: else each quote in it would be tried as the beginning of another.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.|\\\Z)*+"?|[{}\[\],:]|[^\s{}\[\],:"]++', re.DOTALL)

_BODIES = frozenset({"requestObject", "responseObject", "request", "response"})
_TOKEN_PARENTS = frozenset({"spec", "status"})
_WRAPPED = frozenset({"message", "@message", "log", "log_s", "value", "properties"})
_MOST_WRAPPERS = 3
_IN_BODY, _IN_DATA, _IN_CONFIG = 1, 2, 4
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_DATA = frozenset({"data", "stringData", "binaryData", "value", _APPLIED})


def redact(record: bytes) -> bytes:
    """The record without secrets; the same object when there is none. Never raises, whatever the bytes."""
    tokens = b"oken" in record and _TOKEN_KEY.search(record) is not None
    secrets = b"ecret" in record and _ON_SECRETS.search(record) is not None
    configs = not secrets and b"onfig" in record and _ON_CONFIG_MAPS.search(record) is not None
    if tokens or secrets or configs:
        data = _IN_DATA if secrets else _IN_CONFIG if configs else 0
        record = _without_values(record, data=data, wrappers=_MOST_WRAPPERS)
    record = without_web_tokens(record)
    if b"oken=" in record:
        record = _PARAMETER.sub(rb"\1<redacted>", record)
    return record


def _without_values(text: bytes, *, data: int, wrappers: int) -> bytes:
    walk = _Walk(text, data=data, wrappers=wrappers)
    for token in _TOKEN.finditer(text):
        walk.step(token.group(), token.start(), token.end())
    return walk.result()


class _Walk:
    """Goes through the tokens of a JSON text and notes replacements; a text that is no JSON does no harm.

    Attributes:
        data: Flag of what stands below `data`: all of it is secret, or what looks so; 0: nothing.
        open_: Containers around the place: whether it is an object, the key it stands under, and its flags.
        key: Key of the value that comes next; None when a key comes next, or in a list.
    """

    def __init__(self, text: bytes, *, data: int, wrappers: int) -> None:
        self.text = text
        self.data = data
        self.wrappers = wrappers
        self.open_: list[tuple[bool, str, int]] = []
        self.key: str | None = None
        self.pieces: list[bytes] = []
        self.copied = 0

    def step(self, token: bytes, start: int, end: int) -> None:
        """Take the next token."""
        if token in (b"{", b"["):
            self._enter(is_object=token == b"{")
        elif token in (b"}", b"]"):
            if self.open_:
                self.open_.pop()
            self.key = None
        elif token == b",":
            self.key = None
        elif token == b":":
            pass
        elif self.open_ and self.open_[-1][0] and self.key is None:
            self.key = _decoded(token)
        else:
            self._scalar(token, start, end)

    def result(self) -> bytes:
        """The text with its replacements."""
        return b"".join((*self.pieces, self.text[self.copied :])) if self.pieces else self.text

    def _enter(self, *, is_object: bool) -> None:
        parent_key, flags = (self.open_[-1][1], self.open_[-1][2]) if self.open_ else ("", 0)
        key = parent_key if self.key is None else self.key
        self.open_.append((is_object, key, self._flags(key, flags)))
        self.key = None

    def _flags(self, key: str, flags: int) -> int:
        if key in _BODIES:
            flags |= _IN_BODY
        elif flags & _IN_BODY and key in _DATA:
            flags |= self.data
        return flags

    def _scalar(self, token: bytes, start: int, end: int) -> None:
        if token in (b"null", b'""') or not self.open_:
            return
        _, parent, flags = self.open_[-1]
        key = parent if self.key is None else self.key
        if self._flags(key, flags) & _IN_DATA or (flags & _IN_BODY and key == "token" and parent in _TOKEN_PARENTS):
            self._replace(_REPLACED, start, end)
        elif self._flags(key, flags) & _IN_CONFIG:
            self._configured(key, token, start, end)
        elif self.wrappers and not flags and key in _WRAPPED and token.startswith(b'"'):
            inner = _decoded(token).encode("utf-8", "replace")
            clean = _without_values(inner, data=self.data, wrappers=self.wrappers - 1)
            if clean != inner:
                self._replace(orjson.dumps(clean.decode("utf-8", "replace")), start, end)

    def _configured(self, key: str, token: bytes, start: int, end: int) -> None:
        """One value of a config map: a whole file, a line, or a patch of it."""
        if key == _APPLIED or is_credential(key):
            self._replace(_REPLACED, start, end)
        elif token.startswith(b'"'):
            text = _decoded(token)
            clean = without_credentials(text)
            if clean != text:
                self._replace(orjson.dumps(clean), start, end)

    def _replace(self, value: bytes, start: int, end: int) -> None:
        self.pieces += (self.text[self.copied : start], value)
        self.copied = end


def _decoded(token: bytes) -> str:
    """A JSON string as text; bytes as they are where it has no escapes."""
    if b"\\" not in token:
        return token[1:-1].decode("utf-8", "replace")
    text = json_text(token.decode("utf-8", "replace"))
    return text if isinstance(text, str) else ""
