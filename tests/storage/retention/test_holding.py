"""Who is meant by a hold: Elasticsearch and the reader of one document give the same answer."""

from __future__ import annotations

import datetime as dt
import string
from typing import Any

import pytest

from storage.retention.entries import Hold, Selector
from storage.retention.holding import names_document, query_of

_ASCII_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def hold(**selector: str) -> Hold:
    return Hold(id="case-7", at="", reason="x", placed_by="alice", selector=Selector(**selector))


def found(query: dict[str, Any], document: dict[str, str]) -> bool:
    """What Elasticsearch says: of a term that takes no case it compares the letters of ASCII so, and no others."""
    if "term" in query:
        ((name, asked),) = query["term"].items()
        assert asked["case_insensitive"] is True
        return document.get(name, "").translate(_ASCII_LOWER) == asked["value"].translate(_ASCII_LOWER)
    if "exists" in query:
        return query["exists"]["field"] in document
    inner = query["bool"]
    return all(found(each, document) for each in inner.get("filter", ())) and (
        "should" not in inner or any(found(each, document) for each in inner["should"])
    )


@pytest.mark.parametrize("asked", ["alice@example.com", "jörg.Ångström@example.com", "Олена@example.com"])
@pytest.mark.parametrize("told", [str, str.lower, str.upper, str.title], ids=lambda each: each.__name__)
@pytest.mark.parametrize("held", [str, str.lower, str.upper, str.title], ids=lambda each: each.__name__)
def test_a_hold_finds_a_name_however_hold_and_record_write_it(asked: str, told: Any, held: Any):
    principal, written = held(asked), told(asked)
    document = {"user": {"email": written}}
    query = query_of(hold(principal=principal))
    assert query is not None
    assert names_document(hold(principal=principal), document, "aws.cloudtrail", dt.datetime.now(dt.UTC))
    assert found(query, {"user.email": written})
    assert not found(query, {"user.email": f"x{written}"})
