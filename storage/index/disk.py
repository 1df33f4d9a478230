"""How full the disks of Elasticsearch are, node by node.

https://www.elastic.co/guide/en/elasticsearch/reference/8.19/cluster-nodes-stats.html
"""

from __future__ import annotations

from dataclasses import dataclass

from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch

from storage.index.client import explain


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk of one node.

    Attributes:
        node: Its name.
        total: Bytes.
        available: Bytes that Elasticsearch may still use.
    """

    node: str
    total: int
    available: int

    @property
    def used(self) -> float:
        """The part in use, 0 to 1; what nothing is known of counts as empty."""
        return 1 - self.available / self.total if self.total > 0 else 0.0


async def disks_of(client: AsyncElasticsearch) -> list[Disk]:
    """The disks of all nodes that hold data, by name.

    Args:
        client: Of an identity with the cluster privilege `monitor`.

    Raises:
        IndexUnavailable: Elasticsearch does not answer, or refuses.
    """
    try:
        answer = await client.nodes.stats(metric="fs", filter_path="nodes.*.name,nodes.*.roles,nodes.*.fs.total")
    except (ApiError, TransportError) as exc:
        raise explain(exc, "asking for the disks of Elasticsearch") from exc
    found = [
        Disk(str(node["name"]), int(total["total_in_bytes"]), int(total["available_in_bytes"]))
        for node in answer.get("nodes", {}).values()
        if (total := node.get("fs", {}).get("total")) and any(role.startswith("data") for role in node["roles"])
    ]
    return sorted(found, key=lambda disk: disk.node)
