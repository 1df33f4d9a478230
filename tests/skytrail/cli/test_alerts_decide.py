"""`skytrail alerts ack`, `close`, …: what is said on the command line reaches the state, and what can't be is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import Result
from typer.testing import CliRunner

from ingest.schema.errors import ConfigError, IndexUnavailable
from skytrail.cli.main import build
from tests.storage.index.fake_elasticsearch import FakeElasticsearch, served_beside

KEY = ("skytrail-alert-state", "a1")


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeElasticsearch]:
    """A served Elasticsearch with one alert, and settings that point to it."""
    fake = FakeElasticsearch(documents={KEY: {"skytrail": {"alert": {"status": "open", "count": 4}}}})
    with served_beside(fake):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
        monkeypatch.setenv("SKYTRAIL_ELASTICSEARCH__URL", fake.url)
        monkeypatch.setenv("SKYTRAIL_ELASTICSEARCH__ANALYST__USERNAME", "analyst")
        monkeypatch.setenv("SKYTRAIL_ELASTICSEARCH__ANALYST__PASSWORD", "secret")
        yield fake
    structlog.reset_defaults()  # the command logged to a stream that is closed now


def run(*arguments: str) -> Result:
    return CliRunner().invoke(build("alerts"), ("alerts", *arguments, "-o", "json"), catch_exceptions=False)


def test_an_alert_is_taken_closed_and_opened_again_and_its_history_tells_all(fake: FakeElasticsearch) -> None:
    assert run("ack", "a1", "--by", "alice").exit_code == 0
    closed = run("close", "a1", "--as", "false_positive", "-c", "the scanner", "--by", "bob")
    assert (closed.exit_code, json.loads(closed.stdout)[0]["status"]) == (0, "closed")
    assert run("reopen", "a1", "--by", "bob").exit_code == 0
    assert run("assign", "a1", "--to", "carol", "--by", "bob").exit_code == 0
    assert run("comment", "a1", "-c", "look at the role").exit_code == 0
    alert = fake.documents[KEY]["skytrail"]["alert"]
    assert (alert["status"], alert["owner"], alert["classification"], alert["count"]) == ("open", "carol", None, 4)
    assert [record["action"] for record in alert["history"]] == [
        "acknowledge",
        "close",
        "reopen",
        "assign",
        "comment",
    ]
    assert all(record["by"] for record in alert["history"])


def test_what_can_not_be_changed_is_named_with_exit_2_and_the_others_are_changed(fake: FakeElasticsearch) -> None:
    result = run("ack", "nobody", "a1")
    assert result.exit_code == 2
    assert [row["changed"] for row in json.loads(result.stdout)] == [False, True]
    assert "not changed: nobody: there is no such alert" in result.stderr
    assert fake.documents[KEY]["skytrail"]["alert"]["status"] == "acknowledged"


def test_a_decision_that_contradicts_itself_reaches_no_alert(fake: FakeElasticsearch) -> None:
    with pytest.raises(ConfigError, match="does not fit"):
        run("close", "a1", "--as", "true_positive", "--reason", "inaccurate_data", "-c", "x")
    assert fake.versions == {}


def test_what_was_done_before_elasticsearch_went_away_is_told(fake: FakeElasticsearch) -> None:
    fake.documents["skytrail-alert-state", "a2"] = {"skytrail": {"alert": {}}}
    fake.broken = "a2"
    with pytest.raises(IndexUnavailable, match="HTTP 503"):
        run("ack", "a1", "a2")
    assert fake.documents[KEY]["skytrail"]["alert"]["status"] == "acknowledged"
