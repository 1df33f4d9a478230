"""What an answer of Elasticsearch to a bulk request means for a document: the outcome table, pure.

=========================================  ===========================================================
answer                                      fate
=========================================  ===========================================================
200, 201                                    KEPT
409 on create                               KNOWN: a document of this id is there
429                                         BUSY: again, fewer in flight
5xx, no connection, timeout                 AWAY: again; it may have been applied (in doubt)
401, 403, 404, cluster block, closed index  BLOCKED: again, and someone is told; never refused
413                                         TOO_LARGE: halves, a single document is refused
400                                         REFUSED; for a whole request: halves, to find the one
=========================================  ===========================================================

https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Final, Literal

import orjson

Operation = Literal["create", "update"]

FILTER_PATH: Final = (
    "errors,items.*.status,items.*.failure_store,items.*.error.type,items.*.error.reason,"
    "items.*.error.caused_by.type,items.*.error.caused_by.reason"
)

# These answer 400 although nothing is wrong with the document.
_NOT_THE_DOCUMENT: Final = frozenset({"index_closed_exception", "validation_exception", "media_type_header_exception"})
_MAX_REASON_CHARS: Final = 1000


class Fate(Enum):
    """What happens next to a document."""

    KEPT = auto()
    KNOWN = auto()
    BUSY = auto()
    AWAY = auto()
    BLOCKED = auto()
    TOO_LARGE = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class Told:
    """What Elasticsearch said about one document, or about the whole request."""

    status: int
    kind: str = ""
    reason: str = ""
    failed_into_store: bool = False


def fate(told: Told, operation: Operation = "create") -> Fate:
    """The row of the table that applies."""
    status = told.status
    if told.kind == "cluster_block_exception":  # comes as 403, 429 (disk) or 503 (no master)
        return Fate.BLOCKED
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Fate.REFUSED if told.failed_into_store else Fate.KEPT
    if status == HTTPStatus.CONFLICT:
        return Fate.KNOWN if operation == "create" else Fate.BUSY
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Fate.BUSY
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        return Fate.AWAY
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Fate.TOO_LARGE
    if status == HTTPStatus.BAD_REQUEST and told.kind not in _NOT_THE_DOCUMENT:
        return Fate.REFUSED
    return Fate.BLOCKED


def read_items(answer: dict[str, Any], expected: int) -> list[Told] | None:
    """The answer per document in order; None when it is not an answer to `expected` documents."""
    items = answer.get("items")
    if not isinstance(items, list) or len(items) != expected:
        return None
    return [_told(next(iter(item.values()), {})) for item in items]


def all_kept(answer: dict[str, Any], expected: int) -> bool:
    """Whether every document was kept: the usual case, told without looking at each answer in full."""
    items = answer.get("items")
    return (
        answer.get("errors") is False
        and isinstance(items, list)
        and len(items) == expected
        and b"failure_store" not in orjson.dumps(items)
    )


def _told(result: dict[str, Any]) -> Told:
    error = result.get("error")
    status = int(result.get("status", 0))
    if not isinstance(error, dict):
        return Told(status, failed_into_store=result.get("failure_store") == "used")
    reason = str(error.get("reason", ""))
    cause = error.get("caused_by")
    if isinstance(cause, dict) and cause.get("reason"):
        reason = f"{reason} (caused by {cause.get('type')}: {cause['reason']})"
    return Told(status, str(error.get("type", "")), reason[:_MAX_REASON_CHARS])
