"""The compiled engine finds what the interpreter finds: on random rules and records, and on all known ones."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detectors.rule import Rule
from detectors.sigma.compiled.engine import CompiledEngine
from detectors.sigma.compiled.gate import BuildSearch, HyperscanSearch, Re2Search, best_search, hyperscan
from ingest.formats.contract import Format
from ingest.formats.registry import all_formats, format_named
from tests.detectors.shipped import shipped
from tests.detectors.sigma.compiled import generic
from tests.detectors.sigma.compiled.oracle import (
    SHARED,
    Matches,
    fail,
    golden_batches,
    interpreted,
    over_views,
    raw,
    shared_batches,
    shared_records,
    shared_rules,
)
from tests.detectors.sigma.compiled.strategies import hollow_records, presence_rules, records, rules

FORMATS = ("aws.cloudtrail", "kubernetes.audit")
no_hyperscan = pytest.mark.skipif(hyperscan() is None, reason="the optional package hyperscan is not installed")
SEARCHES = [pytest.param(Re2Search, id="re2"), pytest.param(HyperscanSearch, id="hyperscan", marks=no_hyperscan)]


def assert_equal(given_rules: Sequence[Rule], given_records: Sequence[bytes], name: str, search: BuildSearch) -> None:
    format_ = format_named(name)
    engine = CompiledEngine(given_rules, on_error=fail, search=search)
    wanted = interpreted(given_rules, given_records, format_)
    assert raw(engine, given_records, format_) == wanted
    assert raw(engine, given_records, format_) == wanted, "what is remembered gives another answer"
    assert over_views(engine, given_records, format_) == wanted


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("name", FORMATS)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_random_rules_match_the_same_random_records(data: st.DataObject, name: str, search: BuildSearch) -> None:
    drawn = data.draw(rules(name))
    assert_equal(drawn, data.draw(st.lists(records(name), min_size=1, max_size=5)), name, search)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_rules_that_ask_for_presence_match_the_same_hollow_records(data: st.DataObject, name: str) -> None:
    drawn = data.draw(presence_rules(name))
    assert_equal(drawn, data.draw(st.lists(hollow_records(name), min_size=1, max_size=5)), name, best_search())


@pytest.mark.parametrize("name", sorted(all_formats()))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_random_rules_match_the_same_records_of_every_format(data: st.DataObject, name: str) -> None:
    format_ = format_named(name)
    drawn = data.draw(generic.rules(format_))
    assert_equal(drawn, data.draw(st.lists(generic.records(format_), min_size=1, max_size=5)), name, best_search())


def test_both_searches_are_tested() -> None:
    assert hyperscan() is not None, "the package hyperscan has wheels for this platform and belongs to the dev group"


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("name", sorted(all_formats()))
def test_our_rules_match_the_same_golden_events(name: str, search: BuildSearch) -> None:
    assert_same(ours, golden, name, search)


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data sets are not beside this repository")
@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("name", sorted(all_formats()))
def test_public_rules_match_the_same_public_events(name: str, search: BuildSearch) -> None:
    assert_same(public, shared, name, search)


def test_the_public_sets_are_not_empty() -> None:
    if SHARED.exists():
        counts = {name: sum(len(records) for _, records in shared(name)) for name in all_formats()}
        assert counts["kubernetes.audit"] > 3_000
        assert counts["aws.cloudtrail"] > 500
        assert len(public()) > len(ours()) + 200


RulesOf = Callable[[], tuple[Rule, ...]]
BatchesOf = Callable[[str], tuple[tuple[Format, tuple[bytes, ...]], ...]]


def assert_same(rules_of: RulesOf, batches_of: BatchesOf, name: str, search: BuildSearch) -> None:
    """As `assert_equal`, the interpreter's answer taken once for all searches."""
    engine = CompiledEngine(rules_of(), on_error=fail, search=search)
    for (format_, given_records), wanted in zip(batches_of(name), answers(rules_of, batches_of, name), strict=True):
        assert raw(engine, given_records, format_) == wanted
        assert raw(engine, given_records, format_) == wanted, "what is remembered gives another answer"
        assert over_views(engine, given_records, format_) == wanted


@functools.cache
def answers(rules_of: RulesOf, batches_of: BatchesOf, name: str) -> list[Matches]:
    return [interpreted(rules_of(), given_records, format_) for format_, given_records in batches_of(name)]


@functools.cache
def ours() -> tuple[Rule, ...]:
    return tuple(shipped().evaluated)


@functools.cache
def public() -> tuple[Rule, ...]:
    return (*ours(), *shared_rules("."))


@functools.cache
def golden(name: str) -> tuple[tuple[Format, tuple[bytes, ...]], ...]:
    format_ = format_named(name)
    return tuple((format_.within(context), tuple(records)) for context, records in golden_batches(format_))


@functools.cache
def shared(name: str) -> tuple[tuple[Format, tuple[bytes, ...]], ...]:
    format_ = format_named(name)
    known = [record for data_set in ("panther", "stratus", "falco") for record in shared_records(data_set, name)]
    return ((format_, (*known, *shared_batches(format_))),)
