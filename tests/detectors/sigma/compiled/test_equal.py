"""The compiled engine finds what the interpreter finds: on random rules and records, and on all known ones."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detectors.rule import Rule
from detectors.rulebook import load
from detectors.sigma.compiled.engine import CompiledEngine
from detectors.sigma.compiled.gate import BuildSearch, HyperscanSearch, Re2Search, hyperscan
from ingest.formats.registry import format_named
from tests.detectors.sigma.compiled.oracle import (
    SHARED,
    fail,
    golden_records,
    interpreted,
    over_views,
    raw,
    shared_records,
    shared_rules,
)
from tests.detectors.sigma.compiled.strategies import records, rules

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
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_random_rules_match_the_same_random_records(data: st.DataObject, name: str, search: BuildSearch) -> None:
    drawn = data.draw(rules(name))
    assert_equal(drawn, data.draw(st.lists(records(name), min_size=1, max_size=5)), name, search)


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("name", FORMATS)
def test_our_rules_match_the_same_golden_events(name: str, search: BuildSearch) -> None:
    known = golden_records(format_named(name))
    assert len(known) > 20
    assert_equal(load().rules, known, name, search)


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data sets are not beside this repository")
@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("name", FORMATS)
def test_public_rules_match_the_same_public_events(name: str, search: BuildSearch) -> None:
    public = shared_rules("rules/cloud/aws", "rules/application/kubernetes")
    known = shared_records("panther", name) + shared_records("stratus", name)
    assert_equal([*load().rules, *public], known, name, search)
