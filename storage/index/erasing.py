"""The documents of a person: found by who acted, deleted one by one by their ids with an identity of its own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any, Final

import msgspec
from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch

from ingest.schema.envelope import Position
from ingest.schema.errors import IndexUnavailable, Refused
from storage.index.client import explain
from storage.index.names import ALERT_DATASET, pattern
from storage.index.pages import hits
from storage.index.search import Query, indices
from storage.index.spelling import in_any_case

_PAGE: Final = 1000
MOST_NAMES: Final = 65_536
"""What Elasticsearch takes as one list (index.max_terms_count)."""
_WHO: Final = "skytrail.principal.key"
_NAMES: Final = ("user.name", "user.email", "user.id")
_NAMED_IN: Final = ("related.user", "user.name", "user.email", "user.id", "user.target.name", "user.effective.name")
_GONE: Final = 404


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """Who acted, as documents tell it."""

    subject: str
    display: str
    documents: int
    first: str
    last: str


class Place(msgspec.Struct, frozen=True):
    """A document; `position` is None where it does not tell."""

    index: str
    id: str
    position: Position | None


async def known_as(client: AsyncElasticsearch, namespace: str, spelled: Sequence[str]) -> list[Known]:
    """The keys of those who acted under a name, an e-mail address or an id.

    Args:
        client: Of the reader identity.
        namespace: Whose logs.
        spelled: The name, and how it is called under pseudonyms.

    Raises:
        IndexUnavailable: Elasticsearch does not answer, or refuses.
    """
    names = [
        query
        for field in (*_NAMES, _WHO, "skytrail.principal.display")
        for name in spelled
        for query in in_any_case(field, name)
    ]
    time = {"first": {"min": {"field": "@timestamp"}}, "last": {"max": {"field": "@timestamp"}}}
    display = {"display": {"terms": {"field": "skytrail.principal.display", "size": 1}}}
    query = {"bool": {"should": names, "minimum_should_match": 1}}
    found = [
        Known(
            subject=each["key"]["value"],
            display=next((shown["key"] for shown in each["display"]["buckets"]), ""),
            documents=each["doc_count"],
            first=each["first"].get("value_as_string", ""),
            last=each["last"].get("value_as_string", ""),
        )
        async for each in _values(client, namespace, query, _WHO, {**time, **display})
    ]
    return sorted(found, key=lambda each: (-each.documents, each.subject))


async def mentions(client: AsyncElasticsearch, namespace: str, subjects: Sequence[str]) -> int:
    """How many documents of others name somebody by the names that the documents of their own tell.

    Raises:
        IndexUnavailable: Elasticsearch does not answer, or refuses.
        Refused: They tell more names than can be asked for at once.
    """
    own = {"terms": {_WHO: list(subjects)}}
    names: set[str] = set()
    for field in _NAMES:
        async for bucket in _values(client, namespace, own, field, {}):
            names.add(bucket["key"]["value"])
            if len(names) > MOST_NAMES:
                raise Refused(
                    f"looking for documents that name a person: it has more than {MOST_NAMES:,} names",
                    where=",".join(_NAMES),
                    mend="erase fewer subjects by one request",
                )
    if not names:
        return 0
    named = [{"terms": {each: sorted(names)}} for each in _NAMED_IN]
    query = {"bool": {"should": named, "minimum_should_match": 1, "must_not": [own]}}
    return int((await _counted(client, _events(namespace), query, {}))["hits"]["total"]["value"])


async def documents_of(
    client: AsyncElasticsearch, namespace: str, subjects: Sequence[str], *, alerts: bool = False
) -> AsyncIterator[Place]:
    """Where the documents of those who acted are: events, or alerts about them.

    Raises:
        IndexUnavailable: Elasticsearch does not answer, or refuses.
    """
    looked_into = [pattern(ALERT_DATASET, namespace)] if alerts else _events(namespace)
    found = hits(client, looked_into, {"terms": {_WHO: list(subjects)}}, (), _PAGE, ["skytrail.kafka"])
    try:
        async with contextlib.aclosing(found):
            async for hit in found:
                yield Place(hit["_index"], hit["_id"], _position(hit.get("_source", {})))
    except (ApiError, TransportError) as exc:
        raise explain(exc, "looking for a person's documents", ",".join(looked_into)) from exc


async def delete(client: AsyncElasticsearch, places: Sequence[Place]) -> int:
    """Delete documents; those that are gone already are no fault. How many were there.

    Raises:
        IndexUnavailable: Elasticsearch does not answer, or refuses one: call it again.
    """
    deleted = 0
    for start in range(0, len(places), _PAGE):
        part = places[start : start + _PAGE]
        lines = [{"delete": {"_index": each.index, "_id": each.id}} for each in part]
        try:
            answer = await client.bulk(operations=lines)
        except (ApiError, TransportError) as exc:
            raise explain(exc, "deleting a person's documents") from exc
        results = [each["delete"] for each in answer["items"]]
        wrong = [each for each in results if each.get("error")]
        if wrong:
            told = wrong[0]["error"]
            raise IndexUnavailable(
                f"deleting a person's documents: {len(wrong)} of {len(part)} were refused: {told.get('reason', told)}",
                where=wrong[0]["_index"],
                mend="mend what it says, then run the same command again",
            )
        deleted += sum(each["status"] != _GONE for each in results)
    return deleted


def _events(namespace: str) -> list[str]:
    return indices(Query(namespace=namespace))


async def _values(
    client: AsyncElasticsearch, namespace: str, query: dict[str, Any], field: str, inner: dict[str, Any]
) -> AsyncGenerator[dict[str, Any], None]:
    """The buckets of every value of a field, page by page, however many there are.

    Args:
        query: Of which documents.
        inner: Aggregations within each.
    """
    pages: dict[str, Any] = {"size": _PAGE, "sources": [{"value": {"terms": {"field": field}}}]}
    while True:
        asked = {"values": {"composite": pages, **({"aggs": inner} if inner else {})}}
        answer = await _counted(client, _events(namespace), query, asked)
        told = answer.get("aggregations", {}).get("values", {})
        for each in told.get("buckets", []):
            yield each
        if "after_key" not in told:
            return
        pages["after"] = told["after_key"]


async def _counted(
    client: AsyncElasticsearch, looked_into: Sequence[str], query: dict[str, Any], aggregations: dict[str, Any]
) -> dict[str, Any]:
    try:
        answer = await client.search(
            index=list(looked_into),
            query=query,
            size=0,
            aggs=aggregations or None,
            track_total_hits=True,
            ignore_unavailable=True,
            allow_partial_search_results=False,
        )
    except (ApiError, TransportError) as exc:
        raise explain(exc, "looking for a person's documents", ",".join(looked_into)) from exc
    return dict(answer)


def _position(source: dict[str, Any]) -> Position | None:
    told = source.get("skytrail", {}).get("kafka", {})
    try:
        return Position(told["topic"], told["partition"], told["offset"], told["index"])
    except KeyError:
        return None
