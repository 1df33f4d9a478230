"""A person is looked for on a real Elasticsearch: whoever has more keys or names than fit into one page is not cut."""

from __future__ import annotations

import pytest

from ingest.schema.errors import Refused
from storage.index import erasing
from storage.index.erasing import known_as, mentions
from storage.index.writer import Writer
from tests.storage.index.test_on_elasticsearch import Bench, bench

__all__ = ["bench"]  # a fixture

pytestmark = [pytest.mark.engines, pytest.mark.timeout(180)]

MANY = 2_300  # more than two pages


async def test_all_keys_under_one_name_are_found_however_many_there_are(bench: Bench) -> None:
    items = [
        bench.item(f"{number}-{copy}", user={"name": "shared"}, skytrail={"principal": {"key": f"aws:{number:05d}"}})
        for number in range(MANY)
        for copy in range(1 + (number == MANY - 1))
    ]
    await Writer(bench.indexer).write(items)
    await bench.refresh()
    found = await known_as(bench.reader, bench.namespace, ["SHARED"])
    assert len(found) == MANY
    assert {each.subject for each in found} == {f"aws:{number:05d}" for number in range(MANY)}
    assert (found[0].subject, found[0].documents) == (f"aws:{MANY - 1:05d}", 2)  # most first


async def test_documents_that_name_a_person_by_any_of_many_names_are_counted_or_it_is_refused_aloud(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"principal": {"key": "aws:ann"}}
    items = [bench.item(f"own-{number}", user={"name": f"ann-{number:05d}"}, skytrail=own) for number in range(MANY)]
    named = [0, 1_000, MANY - 1]
    items += [
        bench.item(
            f"other-{number}", related={"user": [f"ann-{number:05d}"]}, skytrail={"principal": {"key": "aws:bob"}}
        )
        for number in named
    ]
    await Writer(bench.indexer).write(items)
    await bench.refresh()
    assert await mentions(bench.reader, bench.namespace, ["aws:ann"]) == len(named)
    monkeypatch.setattr(erasing, "MOST_NAMES", MANY - 1)
    with pytest.raises(Refused, match="more than 2,299 names"):
        await mentions(bench.reader, bench.namespace, ["aws:ann"])


async def test_of_a_namespace_without_documents_nothing_is_found(bench: Bench) -> None:
    assert await known_as(bench.reader, bench.namespace, ["ann"]) == []
    assert await mentions(bench.reader, bench.namespace, ["aws:ann"]) == 0


@pytest.mark.parametrize("asked", ["JÖRG ÅNGSTRÖM", "jörg ångström", "Jörg Ångström"])
async def test_a_name_with_letters_beyond_ascii_is_found_however_it_is_written(bench: Bench, asked: str) -> None:
    written = ["jörg ångström", "JÖRG ÅNGSTRÖM", "Jörg Ångström"]
    items = [
        bench.item(f"{number}", user={"name": name}, skytrail={"principal": {"key": f"aws:{number}"}})
        for number, name in enumerate(written)
    ]
    await Writer(bench.indexer).write(items)
    await bench.refresh()
    found = await known_as(bench.reader, bench.namespace, [asked])
    assert sorted(each.subject for each in found) == ["aws:0", "aws:1", "aws:2"]
