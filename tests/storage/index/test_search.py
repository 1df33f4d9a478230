"""What a search looks for, without a server; answers are tested on the real one."""

from __future__ import annotations

import datetime as dt

import pytest

from ingest.schema.errors import ConfigError
from storage.index.search import Query, body, indices


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(), ["logs-*-*-*", "-logs-skytrail.*-*-*"]),
        (Query(namespace="red"), ["logs-*-red-*", "-logs-skytrail.*-*-*"]),
        (Query(dataset="aws.cloudtrail"), ["logs-aws.cloudtrail-*-*"]),
        (Query(dataset="aws.*", namespace="red"), ["logs-aws.*-red-*"]),
        (Query(dataset="skytrail.alert"), ["logs-skytrail.alert-*-*"]),
    ],
)
def test_events_are_searched_without_what_we_write_about_ourselves(query, expected) -> None:
    assert indices(query) == expected


@pytest.mark.parametrize("query", [Query(namespace="a,b"), Query(dataset="a-b"), Query(namespace="A")])
def test_names_that_would_widen_a_search_are_refused(query) -> None:
    with pytest.raises(ConfigError, match="searching in"):
        indices(query)


@pytest.mark.parametrize("text", ["*", " * ", ""])
def test_everything_is_a_query_without_a_parser(text) -> None:
    assert body(Query(text)) == {"match_all": {}}


def test_times_bound_the_event_time_half_open() -> None:
    start, end = dt.datetime(2026, 11, 22, tzinfo=dt.UTC), dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
    filters = body(Query("user.name:alice", start=start, end=end))["bool"]["filter"]
    assert filters[0]["query_string"]["query"] == "user.name:alice"
    assert filters[1]["range"]["@timestamp"] == {"gte": "2026-11-22T00:00:00.000Z", "lt": "2026-11-23T00:00:00.000Z"}
