"""What services write beside a list of records: names that say nothing of the records, so that they may be left behind.

An object with other names beside such a list says something of its own. It is an event with a list among its members,
or a wrapper of a kind that we do not know.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

_PAGE_NAMES = """
    nextLink @nextLink NextToken nextToken nextPageToken next_page_token nextForwardToken nextBackwardToken
    opc-next-page opc-prev-page opc-request-id opc-total-items
    ResponseMetadata @odata.context @odata.count @odata.nextLink @odata.deltaLink @odata.type
"""
_PAGES: Final = frozenset(_PAGE_NAMES.split())
"""How to go on reading, and the request that was answered; beside any list."""

_BESIDE: Final[Mapping[str, Collection[str]]] = {
    "items": ("kind", "apiVersion", "metadata"),
    "logEvents": ("messageType", "owner", "logGroup", "logStream", "subscriptionFilters", "policyLevel"),
    "events": ("searchedLogStreams",),
    "results": ("queryLanguage", "statistics", "status", "encryptionKey", "summary", "fields"),
}
"""By the key of the list: EventList, subscriptions of CloudWatch Logs, their read API, searches of logs.

What a subscription says is its records' context and not lost; `ingest/formats/aws_records/log_groups.py`.
"""


def strange_beside(names: Iterable[str], lists: Collection[str]) -> list[str]:
    """Which top-level names of an object no wrapper has.

    Args:
        names: All of them.
        lists: Those whose list holds records.
    """
    known = {name for key in lists for name in _BESIDE.get(key, ())}
    return [name for name in names if name not in lists and name not in _PAGES and name not in known]
