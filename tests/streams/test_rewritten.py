"""Documents of one id in two indices are told once, whatever the order and the batches; copies are not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from storage.index.search import Hit
from storage.verify.findings import Kind
from streams.rewritten import Rewritten


def hit(index: str, id_: str, leaf: str, offset: int | None = None) -> Hit:
    source: dict[str, Any] = {"event": {"hash": leaf}}
    if offset is not None:
        source["skytrail"] = {"kafka": {"topic": "t", "partition": 0, "offset": offset, "index": 0}}
    return Hit(index, id_, source)


async def found(stored: Sequence[Hit]) -> list[tuple[str, int | None, str]]:
    async def scan() -> AsyncIterator[Hit]:
        for each in stored:
            yield each

    async def twins(ids: Sequence[str]) -> list[Hit]:
        return [each for each in stored if each.id in ids]

    watching = Rewritten("acme", twins)
    assert [each async for each in watching.watched(scan())] == list(stored)
    assert {each.kind for each in watching.findings} <= {Kind.REWRITTEN}
    return [(each.document, each.offset, each.namespace) for each in watching.findings]


@pytest.mark.parametrize("between", [0, 499, 1200])
async def test_two_documents_of_one_event_are_told_once(between: int) -> None:
    others = [hit("day1", f"other{number}", f"l{number}", number) for number in range(between)]
    stored = [hit("day1", "x", "aa", 7), *others, hit("day2", "x", "bb", 9)]
    assert await found(stored) == [("day1/x", 7, "acme")]


async def test_a_copy_and_a_document_without_a_place_are_no_trouble() -> None:
    assert await found([hit("day1", "x", "aa"), hit("day2", "x", "aa")]) == []
    assert await found([hit("day1", "x", "aa"), hit("day2", "x", "bb")]) == [("day1/x", None, "acme")]
    assert await found([]) == []


async def test_of_three_versions_every_pair_is_told() -> None:
    assert len(await found([hit("day1", "x", "aa"), hit("day2", "x", "bb"), hit("day3", "x", "cc")])) == 3
