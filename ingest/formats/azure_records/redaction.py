"""Taking secrets out of a record before anything of it reaches a document or an alert. The archive keeps the bytes.

Replaced: signatures of shared access signatures in URIs (whoever has one can use it), JSON web tokens, keys in
connection strings, and members of request bodies that are secrets by their name. Azure itself keeps values of Key
Vault's secrets out of its logs.

https://learn.microsoft.com/azure/storage/common/storage-sas-overview
"""

from __future__ import annotations

import json
import re
from typing import Any

from ingest.formats.azure_records.values import opened
from ingest.parsing.json_value import json_text
from ingest.parsing.web_tokens import without_web_tokens

_WORD = "<redacted>"
_SIGNATURE = re.compile(
    rb"((?:[?&;]|\\u0026|\\u003[fF]|%26|%3[fF])sig(?:=|%3[dD]|\\u003[dD]))[^&\"\\\s;]+", re.IGNORECASE
)
_KEY_TEXT = re.compile(rb"((?:Account|SharedAccess)Key=)[A-Za-z0-9+/]{16,}={0,2}")
_NAMES = (
    "adminPassword|administratorLoginPassword|password|passwordText|secretText|clientSecret|accountKey|primaryKey"
    "|secondaryKey|sharedKey|sharedAccessKey|privateKey|connectionString|primaryConnectionString"
    "|secondaryConnectionString"
)
_SECRET_MEMBER = re.compile(rb'"(?:%b)\\*"\s*:\s*\\*"' % _NAMES.encode(), re.IGNORECASE)
_PARTS = tuple(b"password secret accountkey primarykey secondarykey sharedkey accesskey privatekey connections".split())
"""What one of these names holds: a search for it costs little, that for all names much."""
_SECRET_NAMES = frozenset(name.lower() for name in _NAMES.split("|"))
_MOST_TEXTS = 3  # JSON in JSON in JSON


def redact(record: bytes) -> bytes:
    """The record without secrets; the same object when there is none. Never raises, whatever the bytes."""
    lowered = record.lower()
    if b"sig" in lowered:
        record = _substituted(_SIGNATURE, record)
    record = without_web_tokens(record)
    if b"Key=" in record:
        record = _substituted(_KEY_TEXT, record)
    if any(part in lowered for part in _PARTS) and _SECRET_MEMBER.search(record):
        return _without_members(record)
    return record


def _substituted(pattern: re.Pattern[bytes], record: bytes) -> bytes:
    return pattern.sub(rb"\1<redacted>", record) if pattern.search(record) else record


def _without_members(record: bytes) -> bytes:
    """Written anew: what is inside a text in a text can't be replaced in place without harm to its escapes."""
    value = json_text(record.decode("utf-8", "replace"))
    if value.__class__ not in (dict, list):
        return record  # no JSON: it is refused later, and nothing of it reaches a document
    try:
        return json.dumps(_clean(value, _MOST_TEXTS), ensure_ascii=False, separators=(",", ":")).encode()
    except RecursionError:
        return b"{}"  # nested beyond what any log is: refused as no record


def _clean(value: Any, texts: int) -> Any:
    if value.__class__ is dict:
        return {name: _member(name, item, texts) for name, item in value.items()}
    if value.__class__ is list:
        return [_clean(item, texts) for item in value]
    return _clean_text(value, texts) if value.__class__ is str else value


def _clean_text(text: str, texts: int) -> str:
    """A text in which JSON may lie; one that names a secret and can't be opened is replaced as a whole."""
    inner = opened(text) if texts else text
    if inner is not text:
        clean = _clean(inner, texts - 1)
        return text if clean == inner else json.dumps(clean, ensure_ascii=False, separators=(",", ":"))
    return _WORD if _SECRET_MEMBER.search(text.encode("utf-8", "replace")) else text


def _member(name: str, value: Any, texts: int) -> Any:
    if name.lower() in _SECRET_NAMES and value.__class__ is str and value:
        return _WORD
    return _clean(value, texts)
