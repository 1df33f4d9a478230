"""Which events a legal hold is about, asked of Elasticsearch or of one document: the same fields, the same answer.

A document under pseudonyms does not say whose it is. So a hold on somebody, or on a thing, is about each of them that
its times and data sets can cover: held too much rather than too little, and nobody who holds needs the keys. For the
same reason upper and lower case are alike: clouds write one e-mail address in several ways.
"""

from __future__ import annotations

import datetime as dt
import fnmatch
from collections.abc import Iterator, Mapping
from typing import Any, Final

from storage.index.spelling import in_any_case
from storage.retention.entries import Hold

PRINCIPAL: Final = ("skytrail.principal.key", "user.id", "user.name", "user.email", "related.user")
ACCOUNT: Final = ("cloud.account.id", "cloud.target.account.id", "cloud.project.id")
RESOURCE: Final = ("related.entity", "orchestrator.resource.name", "orchestrator.resource.id")
_HIDDEN: Final = "skytrail.pseudonyms.key"
_TELLING: Final = frozenset({PRINCIPAL, RESOURCE})


def spans(hold: Hold, dataset: str, start: dt.datetime | None, end: dt.datetime) -> bool:
    """Whether a hold can be about something of a data set that happened from `start` (None: nobody knows) to `end`."""
    chosen = hold.selector
    if not any(fnmatch.fnmatchcase(dataset, each) for each in chosen.datasets):
        return False
    if chosen.since is not None and end < dt.datetime.fromisoformat(chosen.since):
        return False
    return chosen.until is None or start is None or start < dt.datetime.fromisoformat(chosen.until)


def query_of(hold: Hold) -> dict[str, Any] | None:
    """The documents that a hold names beyond data set and time, in Elasticsearch's terms; None: all."""
    filters = []
    for names, value in _asked(hold):
        named = [query for name in names for query in in_any_case(name, value)]
        hidden = [{"exists": {"field": _HIDDEN}}] if names in _TELLING else []
        filters.append({"bool": {"should": [*named, *hidden], "minimum_should_match": 1}})
    return {"bool": {"filter": filters}} if filters else None


def names_document(hold: Hold, document: Mapping[str, Any], dataset: str, event: dt.datetime) -> bool:
    """Whether a hold is about this document."""
    return spans(hold, dataset, event, event) and names_subject(hold, document)


def names_subject(hold: Hold, document: Mapping[str, Any]) -> bool:
    """Whether a hold is about this document if its time and data set are those of the hold."""
    hidden = bool(_values(document, _HIDDEN.split(".")))
    return all(
        (hidden and names in _TELLING) or any(_has(document, name, value) for name in names)
        for names, value in _asked(hold)
    )


def _has(document: Mapping[str, Any], name: str, value: str) -> bool:
    return value.casefold() in (str(each).casefold() for each in _values(document, name.split(".")))


def _asked(hold: Hold) -> Iterator[tuple[tuple[str, ...], str]]:
    chosen = hold.selector
    for names, value in ((PRINCIPAL, chosen.principal), (ACCOUNT, chosen.account), (RESOURCE, chosen.resource)):
        if value:
            yield names, value


def _values(node: Any, path: list[str]) -> list[Any]:
    if isinstance(node, list):
        return [value for each in node for value in _values(each, path)]
    if not path:
        return [node]
    return _values(node[path[0]], path[1:]) if isinstance(node, Mapping) and path[0] in node else []
