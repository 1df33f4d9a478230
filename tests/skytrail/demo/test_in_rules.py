"""The shipped rules see the attacks and are silent about an ordinary day."""

from __future__ import annotations

import collections
import functools
from collections.abc import Iterator

import pytest

from detectors.rule import Rule
from detectors.sigma.choose import build_engine
from ingest.formats.contract import View
from ingest.formats.registry import format_named
from ingest.schema.errors import RejectedRecord
from skytrail.demo.delivery import AUDIT, CLOUDTRAIL
from tests.detectors.shipped import shipped
from tests.skytrail.demo.days import body_of, the_day

Matches = dict[str, dict[str, Rule]]


def test_an_ordinary_day_alerts_nobody_at_night() -> None:
    loud = {name for name, rule in _matches().get("", {}).items() if rule.level in ("high", "critical")}
    assert loud == set()


def test_an_ordinary_day_gives_few_alerts_of_any_severity() -> None:
    assert len(_matches().get("", {})) <= 5


@pytest.mark.parametrize("story", ["stolen-key", "container-escape", "logging-off"])
def test_every_attack_is_seen_by_several_rules_one_of_them_loud(story: str) -> None:
    seen = _matches()[story]
    assert len(seen) >= 4
    assert any(rule.level in ("high", "critical") for rule in seen.values())


def test_the_escape_is_seen_in_the_cluster_and_in_the_cloud() -> None:
    products = {rule.log_source.product for rule in _matches()["container-escape"].values()}
    assert products == {"aws", "kubernetes"}


@functools.cache
def _matches() -> Matches:
    """Story → name of a rule → the rule; "" for events of no story."""
    story_of = {one: story.name for story in the_day().expected.stories for one in story.ids}
    engine = build_engine(shipped().rules)
    found: Matches = collections.defaultdict(dict)
    for name in (CLOUDTRAIL, AUDIT):
        for views in _views(name):
            for index, rule in engine.match(views, format_named(name).log_source):
                event = views[index].vendor
                story = story_of.get(str(event.get("eventID") or event.get("auditID")), "")
                found[story][rule.id] = rule
    return dict(found)


def _views(name: str) -> Iterator[list[View]]:
    format_ = format_named(name)
    for file in the_day().of_format(name):
        views = []
        for record in format_.split(body_of(file.name, file.body)):
            try:
                view = format_.view(record)
                view.ecs = format_.normalise(record)
            except RejectedRecord:
                continue
            views.append(view)
        yield views
