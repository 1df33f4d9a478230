"""Both ways into Elasticsearch get the same documents; laps are summed up fairly."""

import datetime as dt
from pathlib import Path

import orjson

from skytrail.bench.indexing import BARE, ROAD, Lap, prepare_load, result_of, rows
from skytrail.bench.replay import bulks
from skytrail.settings import Settings
from storage.index.bulk import BulkItem

SETTINGS = Settings.model_construct(state_dir=Path("unused"))


def test_both_ways_get_the_same_records() -> None:
    load = prepare_load(SETTINGS, 400, 1, dt.datetime.now(dt.UTC))
    bare = [orjson.loads(body)["event"]["hash"] for bulk in load.bare for _, body in bulk]
    assert load.documents == len(bare) == sum(len(envelope.records) for envelope in load.road) == 400
    assert len({orjson.loads(action)["create"]["_id"] for bulk in load.bare for action, _ in bulk}) == 400
    assert {envelope.header.namespace for envelope in load.road} == {"bench_road"}
    assert all(b"-bench_bare-" in action for bulk in load.bare for action, _ in bulk)


def test_another_round_has_other_records() -> None:
    now = dt.datetime.now(dt.UTC)
    first, second = (
        {record for envelope in prepare_load(SETTINGS, 100, number, now).road for record in envelope.records}
        for number in (1, 2)
    )
    assert not first & second


def test_a_bulk_holds_no_more_than_its_bytes_and_nothing_is_lost() -> None:
    items = [BulkItem("index", f"id-{number}", b"x" * (100 + number)) for number in range(50)]
    found = list(bulks(items, 1000))
    assert [body for bulk in found for _, body in bulk] == [item.body for item in items]
    assert all(sum(len(action) + len(body) for action, body in bulk) <= 1000 for bulk in found)
    assert list(bulks([], 1000)) == []


def lap(number: int, way: str, rate: int) -> Lap:
    return Lap(number, way, 1000, round(1000 / rate, 2), rate, {"elasticsearch": 170.0})


def test_the_ratio_is_the_median_of_the_rounds_and_not_that_of_two_best_ones() -> None:
    laps = [lap(1, BARE, 5000), lap(1, ROAD, 4500), lap(2, BARE, 9000), lap(2, ROAD, 4500), lap(3, ROAD, 4000)]
    result = result_of([*laps, lap(3, BARE, 5000)], 2600, 1, 2)
    assert result.ratios == [0.9, 0.5, 0.8]
    assert result.ratio == 0.8
    assert (result.bare_documents_per_s, result.road_documents_per_s) == (9000, 4500)
    assert [row["elasticsearch_cpu_us"] for row in rows(result)] == [170.0] * 6
