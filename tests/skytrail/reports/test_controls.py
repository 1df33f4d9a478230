"""A control is satisfied by measured facts alone: what nobody measured, or nobody can measure, satisfies nothing."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path
from typing import cast

import pytest
from elasticsearch import AsyncElasticsearch
from hypothesis import given
from hypothesis import strategies as st

from ingest.schema.errors import ConfigError, IndexUnavailable
from skytrail.reports.control_map import SHIPPED, Control, Status, frameworks, judge, overview, section_of
from skytrail.reports.evidence.retention import shortfalls
from skytrail.reports.facts import Fact, Ground, all_facts, measured
from skytrail.reports.gathering import Asked
from skytrail.reports.report import Verdict
from skytrail.settings import Settings
from storage.retention.record import State
from storage.retention.regimes import shipped
from tests.storage.retention.samples import since

NOW = dt.datetime(2026, 11, 27, tzinfo=dt.UTC)
OUTCOMES = st.sampled_from([True, False, None])
FILE = """
id = "house"
name = "House rules"
source_url = "https://rules.example"
[[control]]
id = "1"
asks = "Logs are true."
facts = ["archive-verified"]
"""


def facts_of(*holds: bool | None) -> dict[str, Fact]:
    return {f"f{n}": Fact(each, "7 of 7") for n, each in enumerate(holds)}


def status(*holds: bool | None, beyond: str = "") -> Status:
    facts = facts_of(*holds)
    return judge(Control(id="1", asks="x", facts=tuple(facts), beyond=beyond), facts)


@given(st.lists(OUTCOMES, max_size=6), st.sampled_from(["", "people"]))
def test_satisfied_means_that_every_fact_was_measured_and_holds(holds: list[bool | None], beyond: str) -> None:
    told = status(*holds, beyond=beyond)
    assert (told is Status.SATISFIED) == (bool(holds) and all(each is True for each in holds) and not beyond)


@pytest.mark.parametrize(
    ("holds", "beyond", "told"),
    [
        ((True, True), "", Status.SATISFIED),
        ((True, True), "people", Status.PARTLY),
        ((True, None), "", Status.PARTLY),
        ((True, False), "", Status.PARTLY),
        ((False, None), "", Status.NOT),
        ((None,), "", Status.NOT_MEASURED),
        ((), "people", Status.NOT_MEASURED),
    ],
)
def test_what_a_control_comes_to(holds: tuple[bool | None, ...], beyond: str, told: Status) -> None:
    assert status(*holds, beyond=beyond) is told


def test_the_shipped_controls_name_facts_that_exist_and_the_standards_asked_for() -> None:
    found = {each.id for each in frameworks(all_facts())}
    standards = {"pci-dss", "hipaa", "sox", "iso-27001", "nist-800-53", "cis-controls", "dora", "nis2", "gdpr"}
    assert standards <= found
    assert {path.stem for path in SHIPPED.glob("*.toml")} == found


def test_every_floor_that_a_control_names_is_that_of_a_shipped_regime() -> None:
    controls = [control for each in frameworks(all_facts()) for control in each.control]
    named = {name.partition(":")[2] for each in controls for name in each.facts if name.startswith("retention-floor:")}
    assert named
    assert named <= {row.regime for row in shipped()}


def test_a_policy_alone_satisfies_no_control() -> None:
    promises = ("retention-floor", "retention-decided")
    for framework in frameworks(all_facts()):
        for control in framework.control:
            kinds = {name.partition(":")[0] for name in control.facts}
            if kinds & set(promises):
                assert control.beyond or kinds & {"deletions-lawful", "archive-verified"}, (framework.id, control.id)


def test_a_control_is_added_with_a_file_alone(tmp_path: Path) -> None:
    (tmp_path / "house.toml").write_text(FILE)
    found = frameworks(all_facts(), tmp_path)
    section = section_of(found[0], {"archive-verified": Fact(True, "3 segments")})
    assert section.verdict is Verdict.PASS
    assert section.rows == (("1", "Logs are true.", "satisfied", "archive-verified holds: 3 segments", ""),)
    assert overview(found, {"archive-verified": Fact(None, "")}).rows == (("House rules", 0, 0, 0, 1),)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (FILE.replace("archive-verified", "archive-blessed"), "there is no fact archive-blessed"),
        (FILE.replace('facts = ["archive-verified"]', ""), "it rests on nothing"),
        (FILE + "owner = 'me'\n", "unknown field"),
    ],
    ids=["fact", "nothing", "key"],
)
def test_controls_that_prove_nothing_are_refused(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "house.toml").write_text(text)
    with pytest.raises(ConfigError, match=complaint):
        frameworks(all_facts(), tmp_path)


def test_a_source_that_is_away_makes_its_facts_unknown_and_is_asked_once() -> None:
    asked_for: list[str] = []

    async def gather(_: Asked) -> int:
        asked_for.append("gather")
        raise IndexUnavailable("asking", mend="wait")

    async def measure(ground: Ground, subject: str) -> Fact:
        return Fact(bool(await ground.once("x", gather)), subject)

    ground = Ground(Asked(Settings(), cast("AsyncElasticsearch", None), None, None, NOW, NOW))
    found = asyncio.run(measured(ground, ["a:1", "a:2", "a:1"], {"a": measure}))
    assert [(name, fact.holds) for name, fact in found.items()] == [("a:1", None), ("a:2", None)]
    assert "asking" in found["a:1"].told
    assert asked_for == ["gather"]


def test_a_floor_is_measured_against_the_policy_in_force_hot_and_cold() -> None:
    rows = [row for row in shipped() if row.regime == "pci-dss"]
    places = [("acme", "aws.cloudtrail")]
    short = {"acme": State(policies=[since("2026-01-01", {"name": "all", "hot": "P1M", "cold": "P11M"})])}
    enough = {"acme": State(policies=[since("2026-01-01", {"name": "all", "hot": "P3M", "cold": "P12M"})])}
    assert [each.partition(": ")[2][:4] for each in shortfalls(places, short, rows, NOW)] == ["hot ", "cold"]
    assert list(shortfalls(places, enough, rows, NOW)) == []
    assert "no policy speaks of it" in next(shortfalls(places, {"acme": State()}, rows, NOW))
