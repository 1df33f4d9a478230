"""What kind of event it is: `event.category`, `event.type`, `event.outcome`."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from ingest.formats.azure_records.document import outcome_word
from ingest.formats.azure_records.values import first_text
from ingest.parsing.scalars import mapping_of, text_of

_STORED = re.compile(
    r"(?:get|list|put|set|copy|create|append|delete|undelete|peek|query|read|write|acquire|renew).*"
    r"(?:blob|block|page|container|file|directory|share|path|queue|message|table|entit)"
)
_STORAGE = {"storageread": "access", "storagewrite": "change", "storagedelete": "deletion"}
_SEGMENTS = {"write": "change", "read": "access", "delete": "deletion", "action": "change"}
_VERB = re.compile(
    r"(?P<access>get|list|describe|head|lookup|watch|read|retreive|retrieve|query)"
    r"|(?P<creation>create|run|insert|append|import)"
    r"|(?P<deletion>delete|terminate|remove|purge)"
    r"|(?P<change>update|modify|put|set|attach|detach|patch|write|action|copy|rename|restore|recover|rotate|regenerate)"
)
_KEY_VAULT = re.compile(
    r"(?:secret|key|certificate|vault)(?P<verb>get|list|create|import|set|update|delete|purge|recover|backup|restore|put|patch"
    r"|encrypt|decrypt|wrap|unwrap|sign|verify|rotate)"
)
_KEY_VAULT_TYPES = {
    verb: type_
    for type_, verbs in (
        ("creation", "create import"),
        ("deletion", "delete purge"),
        ("change", "set update put patch recover restore rotate"),
    )
    for verb in verbs.split()
}
_FAILED_FROM = 400  # HTTP status


@functools.lru_cache(maxsize=4096)
def kinds_of(category: str, operation: str) -> tuple[str, tuple[str, ...]]:
    """ECS category and types.

    Args:
        category: Category of the log, lower-cased.
        operation: operationName, lower-cased: `getblob`, `secretget`, `microsoft.web/sites/write`.
    """
    match = _VERB.match(operation)
    verb = match.lastgroup if match else None
    if category in _STORAGE or (not category and _STORED.match(operation)):
        return "file", ("creation" if operation.startswith("put") else verb or _STORAGE.get(category, "info"),)
    vault = _KEY_VAULT.match(operation)
    if vault:
        return "configuration", (_KEY_VAULT_TYPES.get(vault["verb"], "access"),)
    segment = _SEGMENTS.get(category) or _SEGMENTS.get(operation.rpartition("/")[2])
    if segment:
        return "configuration", (segment,)
    return "api", (verb or "info",)


def outcome_of(event: Mapping[str, Any]) -> str:
    """What resultType, properties.result or Status say, else the HTTP status; `unknown` where nothing does."""
    properties = mapping_of(event.get("properties"))
    for word in (event.get("resultType"), properties.get("result"), event.get("status")):
        found = outcome_word(text_of(word))
        if found:
            return found
    code = status_code(event)
    if code is not None:
        return "failure" if code >= _FAILED_FROM else "success"
    told = first_text(properties, "metricResponseType", "Status", "status") or text_of(event.get("statusText"))
    return outcome_word(told) or "unknown"


def status_code(event: Mapping[str, Any]) -> int | None:
    """The HTTP status of a request, where the service writes one."""
    properties = mapping_of(event.get("properties"))
    text = first_text(event, "statusCode") or first_text(
        properties, "httpStatusCode", "statusCode", "responseStatusCode"
    )
    text = (text or "").removesuffix(".0")
    return int(text) if text.isascii() and text.isdigit() and len(text) == 3 else None  # noqa: PLR2004 - digits
