"""Filters and exceptions: apart from the rules, scoped, and with an end."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from detectors.exceptions import Exceptions
from detectors.rulebook import Rulebook, load
from detectors.sigma.engine import InterpretedEngine
from ingest.formats.contract import View
from ingest.formats.registry import all_formats
from tests.detectors.test_rulebook import SOUND, write

TODAY = dt.date(2026, 11, 27)
SOURCE = all_formats()["aws.cloudtrail"].log_source
FILTER = """
title: The onboarding tool makes users
name: onboarding
logsource: {product: aws, service: cloudtrail}
filter:
  rules: [user-created]
  tool: {userIdentity.userName: onboarding-tool}
  condition: not tool
"""
EXCEPTION = FILTER + "owner: identity team\njustification: It is its work.\nexpires: 2026-12-31\n"


def view(user: str) -> View:
    return View({"eventName": "CreateUser", "userIdentity": {"userName": user}})


def book(folder: Path, text: str) -> Rulebook:
    write(folder, "sound.yml", SOUND)
    write(folder, "exception.yml", text)
    return load([folder], today=TODAY)


def test_a_filter_becomes_part_of_the_rules_it_names(tmp_path: Path) -> None:
    found = book(tmp_path, FILTER)
    assert found.findings == ()
    assert found.exceptions == ()
    engine = InterpretedEngine(found.rules)
    matches = engine.match([view("mallory"), view("onboarding-tool")], SOURCE)
    assert [place for place, _ in matches] == [0]


def test_a_filter_changes_the_version_of_the_rule_set(tmp_path: Path) -> None:
    write(tmp_path, "sound.yml", SOUND)
    before = load([tmp_path]).version
    assert book(tmp_path, FILTER).version != before
    assert book(tmp_path, EXCEPTION).version != before


def test_an_exception_leaves_the_rule_as_it_is_and_counts_what_it_keeps_back(tmp_path: Path) -> None:
    found = book(tmp_path, EXCEPTION)
    assert found.findings == ()
    views = [view("mallory"), view("onboarding-tool"), view("onboarding-tool")]
    matches = list(InterpretedEngine(found.rules).match(views, SOURCE))
    assert [place for place, _ in matches] == [0, 1, 2]
    exceptions = Exceptions(found.exceptions)
    assert [place for place, _ in exceptions.left(matches, views, SOURCE, "prod", TODAY)] == [0]
    assert exceptions.counts == {("onboarding", "user-created"): 2}


def test_an_exception_counts_no_more_after_its_last_day(tmp_path: Path) -> None:
    found = book(tmp_path, EXCEPTION)
    views = [view("onboarding-tool")]
    matches = list(InterpretedEngine(found.rules).match(views, SOURCE))
    exceptions = Exceptions(found.exceptions)
    assert exceptions.left(matches, views, SOURCE, "prod", dt.date(2026, 12, 31)) == []
    assert exceptions.left(matches, views, SOURCE, "prod", dt.date(2027, 1, 1)) == matches


def test_an_exception_counts_in_its_namespaces_only(tmp_path: Path) -> None:
    found = book(tmp_path, EXCEPTION + "namespaces: [test]\n")
    views = [view("onboarding-tool")]
    matches = list(InterpretedEngine(found.rules).match(views, SOURCE))
    exceptions = Exceptions(found.exceptions)
    assert exceptions.left(matches, views, SOURCE, "prod", TODAY) == matches
    assert exceptions.left(matches, views, SOURCE, "test", TODAY) == []


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (EXCEPTION.replace("2026-12-31", "2026-11-26"), "expired on 2026-11-26"),
        (EXCEPTION.replace("[user-created]", "[user-created, user-deleted]"), "names user-deleted"),
        (EXCEPTION.replace("[user-created]", "[user-deleted]"), "is about no rule"),
        (FILTER.replace("product: aws", "product: azure"), "is about no rule"),
        (EXCEPTION.replace("owner: identity team\n", ""), "it has no owner"),
        (EXCEPTION.replace("justification: It is its work.\n", ""), "it has no justification"),
        (EXCEPTION.replace("2026-12-31", "soon"), "'soon' is no date"),
        (FILTER.replace("rules: [user-created]", "rules: {a: b}"), "`rules` is not"),
        (FILTER.replace("rules: [user-created]", "rules: any\n  tags: 5"), "`tags` is not"),
        (FILTER.replace("rules: [user-created]", "rules: any\n  tags: [attack.t9999]"), "is about no rule"),
        (FILTER.replace("not tool", "not tools"), "tools"),
        (EXCEPTION.replace("expires", "expire"), "the key is unknown; do you mean `expires`? at expire"),
        (EXCEPTION.replace("2026-12-31", ""), "at owner"),
        (FILTER + "expires:\n", "it has no last day at expires"),
        (FILTER + "namespaces: [dev]\n", "namespaces is of exceptions"),
        (FILTER + "owner: a\n", "owner is of exceptions"),
        (EXCEPTION + "namespaces: []\n", "`namespaces` names none"),
        (EXCEPTION + "namespaces: ['']\n", "`namespaces` names none"),
        (EXCEPTION.replace("[user-created]", "[]"), "`rules` is not"),
        (EXCEPTION.replace("rules: [user-created]", "rules: any\n  tags: []"), "`tags` names none"),
        (FILTER + "justification: a\n", "justification is of exceptions"),
        (FILTER + "custom: 5\n", "the key is unknown at custom"),
        (FILTER + "---" + FILTER, "the name is that of the filter in"),
        (FILTER.replace("userName:", "userName|sounds_like:"), "sounds_like"),
    ],
)
def test_what_is_wrong_or_odd_about_one_is_told(tmp_path: Path, text: str, finding: str) -> None:
    assert finding in " ".join(str(one) for one in book(tmp_path, text).findings)


def test_any_covers_every_rule_of_the_log_source(tmp_path: Path) -> None:
    found = book(tmp_path, FILTER.replace("[user-created]", "any"))
    assert found.findings == ()
    assert list(InterpretedEngine(found.rules).match([view("onboarding-tool")], SOURCE)) == []


@pytest.mark.parametrize(
    ("tags", "covered"),
    [
        ("attack.t1136", True),
        ("[attack.impact, ATTACK.T1136.003]", True),
        ("attack.t1136.001", False),
        ("attack.t113", False),
    ],
)
def test_a_tag_covers_the_rules_that_have_it_and_a_technique_its_parts(
    tmp_path: Path, tags: str, *, covered: bool
) -> None:
    text = EXCEPTION.replace("rules: [user-created]", f"rules: any\n  tags: {tags}")
    write(
        tmp_path,
        "sound.yml",
        SOUND + "tags: [attack.persistence, attack.t1136.003]\n" if "tags:" not in SOUND else SOUND,
    )
    write(tmp_path, "exception.yml", text)
    found = load([tmp_path], today=TODAY)
    (rule,) = found.rules
    assert {"attack.t1136.003"} & set(rule.tags)
    assert found.exceptions[0].covers(rule) is covered
    assert bool(found.findings) is not covered


def test_expired_ones_are_counted_on_the_day_after_their_last(tmp_path: Path) -> None:
    exceptions = Exceptions(book(tmp_path, EXCEPTION).exceptions)
    assert exceptions.states(dt.date(2026, 12, 31)) == {"in_force": 1, "expired": 0}
    assert exceptions.states(dt.date(2027, 1, 1)) == {"in_force": 0, "expired": 1}
