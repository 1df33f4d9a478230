"""Every correlation of ours proves itself, and tells people what they need."""

from __future__ import annotations

import pytest

from detectors.correlation.model import Correlation
from tests.detectors.shipped import shipped

BOOK = shipped()
OURS = [one for one in BOOK.correlations if not one.silent]


def test_there_are_enough_and_none_was_refused() -> None:
    assert len(OURS) >= 12
    assert [str(finding) for finding in BOOK.findings if "/correlation/" in finding.file] == []


@pytest.mark.parametrize("one", OURS, ids=lambda one: one.id)
def test_a_correlation_tells_people_what_they_need(one: Correlation) -> None:
    assert one.rule.own
    assert one.rule.version == "1"
    assert one.rule.reason
    assert one.group_by
    assert all(technique.name for technique in one.rule.techniques), "a technique's name is missing in attack.toml"


def test_ours_join_clouds() -> None:
    sources = {rule.id: rule.log_source.product for rule in BOOK.evaluated}
    joined = [one.id for one in OURS if len({sources[name] for name in one.rules if name in sources}) > 1]
    assert len(joined) >= 2
