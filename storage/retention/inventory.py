"""What there is: the indices of Elasticsearch, as the reader identity sees them, and the chains of the archive."""

from __future__ import annotations

import datetime as dt
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, overload

import msgspec
from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch

from ingest.schema.errors import Refused
from storage.archive.chain import Chain
from storage.archive.manifest import digest, manifest_key, parse, stream_prefix
from storage.archive.store import ArchiveStore
from storage.index.client import error_of, explain
from storage.index.names import parse as parse_index
from storage.index.names import pattern
from storage.ledger.entries import Tips
from storage.retention.entries import Hold
from storage.retention.holding import query_of
from storage.retention.plan import ChainFacts, IndexFacts, SegmentFacts

DatasetOf = Callable[[str], str]
"""The data set of what a topic carries."""
_MOST: Final = 10_000
_FORBIDDEN, _NOT_FOUND = 403, 404


async def indices(client: AsyncElasticsearch, holds: Sequence[Hold], name: str = "") -> list[IndexFacts]:
    """Our indices, by name.

    Args:
        client: Of the reader identity.
        holds: Those of which it is counted whether an index has documents of them.
        name: Only this one.

    Raises:
        IndexUnavailable: Elasticsearch does not answer, or refuses.
    """
    asked = f"{name}*" if name else pattern()  # a pattern, so that an index that is gone is no error
    try:
        told = await client.indices.stats(index=asked, metric=["docs", "store"], expand_wildcards="open")
        newest = await client.search(
            index=asked, size=0, aggs=_aggregations(holds), ignore_unavailable=True, allow_partial_search_results=False
        )
    except (ApiError, TransportError) as exc:
        raise explain(exc, "looking at the indices", asked) from exc
    buckets = (
        {bucket["key"]: bucket for bucket in newest["aggregations"]["index"]["buckets"]} if told["indices"] else {}
    )
    return [
        _facts(found, stats, buckets.get(found, {}), holds)
        for found, stats in sorted(told["indices"].items())
        if parse_index(found) is not None and name in ("", found)
    ]


async def closed(client: AsyncElasticsearch, namespace: str | None) -> list[str]:
    """Our indices that somebody closed: they are kept, and nothing can be asked of them.

    Raises:
        IndexUnavailable: Elasticsearch does not answer, or refuses.
    """
    asked = pattern(None, namespace)
    try:
        found = await client.indices.get_settings(index=asked, name="index.uuid", expand_wildcards="closed")
    except (ApiError, TransportError) as exc:
        raise explain(exc, "looking for closed indices", asked) from exc
    return sorted(name for name in found if parse_index(name) is not None)


async def drop(client: AsyncElasticsearch, name: str, uuid: str) -> None:
    """Drop an index if it is the very one; none, or another one of that name, is fine.

    Args:
        client: Of the retention identity.
        name: Of the index.
        uuid: Elasticsearch's own id of it.

    Raises:
        IndexUnavailable: It may be dropped or not.
        Refused: This identity may not.
    """
    try:
        told = await client.indices.get_settings(index=f"{name}*", name="index.uuid", flat_settings=True)
        if name in told and told[name]["settings"].get("index.uuid") == uuid:
            await client.indices.delete(index=name)
    except ApiError as exc:
        if exc.status_code == _FORBIDDEN:
            raise Refused(f"dropping {name}: {error_of(exc.body)[1]}", where="elasticsearch.retention") from exc
        if exc.status_code != _NOT_FOUND:
            raise explain(exc, "dropping an index", name) from exc
    except TransportError as exc:
        raise explain(exc, "dropping an index", name) from exc


def chains(
    store: ArchiveStore, namespace: str, tips: Tips, destroyed: dict[tuple[str, int], set[int]], dataset_of: DatasetOf
) -> Iterator[ChainFacts]:
    """The chains of a namespace, in the order of topics and partitions.

    Args:
        store: The archive.
        namespace: Whose.
        tips: What the ledger has of each chain.
        destroyed: Numbers of segments that have a tombstone.
        dataset_of: See `DatasetOf`.

    Raises:
        StoreUnavailable: Call it again.
        IntegrityError: The archive is damaged.
    """
    for topic in store.folders(f"{namespace}/seg/"):
        for partition in sorted(map(int, store.folders(f"{namespace}/seg/{topic}/"))):
            chain = Chain(store, namespace, topic, partition)
            chain.restore()
            if chain.last is None:
                continue
            tip = tips.get((topic, partition))
            gone = destroyed.get((topic, partition), set())
            yield ChainFacts(
                topic=topic,
                partition=partition,
                dataset=dataset_of(topic),
                segments=_Segments(chain, gone),
                last=chain.last.seq,
                offset=chain.last.covers.last_offset,
                ledgered=(-1, -1) if tip is None else (tip.last_offset, tip.seq),
            )


def segment_facts(store: ArchiveStore, namespace: str, topic: str, partition: int, seq: int) -> SegmentFacts:
    """One segment as its manifest tells.

    Raises:
        IntegrityError: There is no such manifest, or it is damaged.
    """
    return _segment(Chain(store, namespace, topic, partition), seq)


class _Segments(Sequence[SegmentFacts]):
    """The segments of a chain that are there; each manifest is read when it is asked for."""

    def __init__(self, chain: Chain, gone: set[int]) -> None:
        assert chain.last is not None
        self._chain = chain
        self._numbers = array("Q", (seq for seq in range(chain.last.seq + 1) if seq not in gone))

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, at: int) -> SegmentFacts: ...

    @overload
    def __getitem__(self, at: slice) -> list[SegmentFacts]: ...

    def __getitem__(self, at: int | slice) -> SegmentFacts | list[SegmentFacts]:
        if isinstance(at, slice):
            return [_segment(self._chain, seq) for seq in self._numbers[at]]
        return _segment(self._chain, self._numbers[at])


def _segment(chain: Chain, seq: int) -> SegmentFacts:
    body = chain.manifest_bytes(seq)
    prefix = stream_prefix(chain.namespace, chain.topic, chain.partition)
    manifest = parse(body, manifest_key(prefix, seq))
    sealed = dt.datetime.fromisoformat(manifest.sealed_at)
    received = dt.datetime.fromisoformat(manifest.received.max) if manifest.received else sealed
    stamp = manifest.retention
    promised = None if stamp is msgspec.UNSET else dt.datetime.fromisoformat(stamp.retain_until)
    return SegmentFacts(
        seq=seq,
        n=manifest.n,
        stored=manifest.body.size + manifest.headers.size,
        received=max(received, sealed),
        root=manifest.root,
        manifest=digest(body),
        promised=promised,
        key="" if manifest.encryption is msgspec.UNSET else manifest.encryption.key,
        objects=(manifest.body.key, manifest.headers.key, manifest.leaves.key, manifest_key(prefix, seq)),
    )


def _aggregations(holds: Sequence[Hold]) -> dict[str, Any]:
    inner: dict[str, Any] = {
        "received": {"max": {"field": "event.ingested"}},
        "promised": {"max": {"field": "skytrail.retention.hot_until"}},
        "placeless": {"missing": {"field": "skytrail.kafka.topic"}},
        "topic": {
            "terms": {"field": "skytrail.kafka.topic", "size": _MOST},
            "aggs": {
                "partition": {
                    "terms": {"field": "skytrail.kafka.partition", "size": _MOST},
                    "aggs": {
                        "first": {"min": {"field": "skytrail.kafka.offset"}},
                        "last": {"max": {"field": "skytrail.kafka.offset"}},
                    },
                }
            },
        },
    }
    for number, hold in enumerate(holds):
        if (query := query_of(hold)) is not None:
            inner[f"hold{number}"] = {"filter": query}
    return {"index": {"terms": {"field": "_index", "size": _MOST}, "aggs": inner}}


def _facts(name: str, stats: Any, bucket: Any, holds: Sequence[Hold]) -> IndexFacts:
    received, promised = (bucket.get(of, {}).get("value") for of in ("received", "promised"))
    reach = {
        (topic["key"], int(partition["key"])): (
            int(partition["first"]["value"]),
            int(partition["last"]["value"]),
        )
        for topic in bucket.get("topic", {}).get("buckets", [])
        for partition in topic["partition"]["buckets"]
    }
    asked = {hold.id: bucket.get(f"hold{number}") for number, hold in enumerate(holds)}
    return IndexFacts(
        name=name,
        uuid=stats["uuid"],
        documents=int(stats["primaries"]["docs"]["count"]),
        bytes=int(stats["primaries"]["store"]["size_in_bytes"]),
        received=_moment(received),
        promised=_moment(promised),
        reach=reach,
        placeless=int(bucket.get("placeless", {}).get("doc_count", 0)),
        matches={id_: int(found["doc_count"]) for id_, found in asked.items() if found is not None},
    )


def _moment(millis: float | None) -> dt.datetime | None:
    return None if millis is None else dt.datetime.fromtimestamp(millis / 1000, dt.UTC)
