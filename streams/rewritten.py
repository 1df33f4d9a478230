"""Finds events that came again with other bytes and another time: their documents have one id in different indices.

Within one index an id can be taken once, and the resolver tells of who comes second. Of two indices nobody is told.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from storage.index.search import Hit
from storage.verify.findings import Finding, Kind
from streams.reconciling import key_of, leaf_of

Twins = Callable[[Sequence[str]], Awaitable[list[Hit]]]
"""Documents of these ids in every index of a namespace."""
_BATCH = 500


@dataclass(slots=True)
class Rewritten:
    """Watches the documents of a namespace go by.

    Args:
        namespace: Which.
        twins: See there.

    Attributes:
        findings: One for each pair, at the document that names it.
    """

    namespace: str
    twins: Twins
    findings: list[Finding] = field(default_factory=list)
    _waiting: list[Hit] = field(default_factory=list)
    _told: set[frozenset[tuple[str, str]]] = field(default_factory=set)

    async def watched(self, stored: AsyncIterator[Hit]) -> AsyncGenerator[Hit, None]:
        """The same documents."""
        async for hit in stored:
            self._waiting.append(hit)
            if len(self._waiting) >= _BATCH:
                await self._look()
            yield hit
        await self._look()

    async def _look(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        known: dict[str, list[Hit]] = {}
        for twin in await self.twins(sorted({hit.id for hit in waiting})):
            known.setdefault(twin.id, []).append(twin)
        for hit in waiting:
            for twin in known.get(hit.id, ()):
                pair = frozenset(((hit.index, leaf_of(hit.source)), (twin.index, leaf_of(twin.source))))
                if twin.index == hit.index or leaf_of(twin.source) == leaf_of(hit.source) or pair in self._told:
                    continue
                self._told.add(pair)
                self.findings.append(self._finding(hit, twin))

    def _finding(self, hit: Hit, twin: Hit) -> Finding:
        topic, partition, offset, index = key_of(hit.source) or ("", None, None, None)
        return Finding(
            kind=Kind.REWRITTEN,
            detail=f"the same event is in {twin.index} with other bytes and another time: one of them was rewritten",
            namespace=self.namespace,
            topic=topic,
            partition=partition,
            offset=offset,
            index=index,
            document=f"{hit.index}/{hit.id}",
        )
