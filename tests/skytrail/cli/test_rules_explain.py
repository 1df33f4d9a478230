"""`skytrail rules explain`: of an event in Elasticsearch it says the same as of the event's file."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import Result
from typer.testing import CliRunner

from ingest.document import Receipt, complete
from ingest.formats.registry import format_named
from ingest.schema.errors import ConfigError
from skytrail.cli.exits import Exit
from skytrail.cli.main import build
from tests.skytrail.scan.events import RULE, call
from tests.storage.index.fake_elasticsearch import FakeElasticsearch, served_beside

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
INDEX = "logs-aws.cloudtrail-default-2026.03.01"
EVENTS = {
    "fires": call(1, "StopLogging"),
    "silent": call(2),
    "secret": call(3, "StopLogging", responseElements={"secret": "sesame"}),
}


def document(event: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    record = json.dumps(event).encode()
    found = complete(format_named("aws.cloudtrail"), record, Receipt("default", "c", NOW, "a.json", 7), NOW)
    original = found.document["event"]["original"]
    found.document["event"]["original"] = original.replace("sesame", "******")  # as a format does that masks secrets
    return found.id, found.document


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeElasticsearch]:
    """An Elasticsearch that holds the events, settings that point to it, and the rule in `rule.yml`."""
    fake = FakeElasticsearch()
    for event in EVENTS.values():
        id_, indexed = document(event)
        fake.documents[INDEX, id_] = indexed
    (tmp_path / "rule.yml").write_text(RULE)
    with served_beside(fake):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
        monkeypatch.setenv("SKYTRAIL_ELASTICSEARCH__URL", fake.url)
        monkeypatch.setenv("SKYTRAIL_ELASTICSEARCH__READER__USERNAME", "reader")
        monkeypatch.setenv("SKYTRAIL_ELASTICSEARCH__READER__PASSWORD", "secret")
        yield fake
    structlog.reset_defaults()  # the command logged to a stream that is closed now


def explained(where: str) -> Result:
    arguments = ("rules", "explain", "rule.yml", "-o", "json", "--", where)
    return CliRunner().invoke(build("rules"), arguments, catch_exceptions=False)


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize("place", ["{id}", INDEX + "/{id}"])
@pytest.mark.usefixtures("fake")
def test_a_document_is_explained_as_its_file_is(name: str, place: str, tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text(json.dumps(EVENTS[name]))
    id_, _ = document(EVENTS[name])
    of_file = json.loads(explained("event.json").stdout)
    found = explained(place.format(id=id_))
    of_document = json.loads(found.stdout)
    assert (of_document.pop("document"), of_document.pop("record")) == (f"{INDEX}/{id_}", 7)
    assert (of_file.pop("document"), of_file.pop("record")) == (None, 0)
    assert of_document == of_file
    assert of_file["fires"] is (name != "silent")
    assert ("secrets are masked" in found.stderr) is (name == "secret")


@pytest.mark.usefixtures("fake")
def test_an_id_of_no_event_is_said_to_be_none() -> None:
    with pytest.raises(ConfigError, match="there is none, and no file of this name"):
        explained("A" * 22)


@pytest.mark.usefixtures("fake")
def test_what_is_no_id_is_taken_for_a_file() -> None:
    with pytest.raises(ConfigError, match="reading event: No such file"):
        explained("missing.json")


def test_a_document_without_its_original_is_explained_by_its_normalised_fields(fake: FakeElasticsearch) -> None:
    id_, indexed = document(EVENTS["fires"])
    indexed["event"]["original"] = "gone"
    fake.documents[INDEX, id_] = indexed
    found = explained(id_)
    assert json.loads(found.stdout)["fires"] is False
    assert "the vendor's own fields are absent" in found.stderr


EXCEPTION = """\
title: Known
name: known
logsource: {product: aws, service: cloudtrail}
filter: {rules: any, s: {eventName: StopLogging}, condition: not s}
owner: us
justification: a planned change
expires: %s
"""


@pytest.mark.parametrize(
    ("expires", "more", "name", "words"),
    [
        ("2999-12-31", "", "fires", "keeps a match back until 2999-12-31: a planned change"),
        ("2020-01-01", "", "fires", "would keep a match back, but expired on 2020-01-01"),
        ("2999-12-31", "", "silent", "is not about this event"),
        ("2999-12-31", "namespaces: [prod]", "fires", "counts in prod only"),
    ],
)
@pytest.mark.usefixtures("fake")
def test_exceptions_about_the_rule_are_explained_with_it(
    tmp_path: Path, expires: str, more: str, name: str, words: str
) -> None:
    (tmp_path / "rule.yml").unlink()
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "rule.yml").write_text(RULE)
    (tmp_path / "set" / "known.yml").write_text(EXCEPTION % expires + more)
    id_, _ = document(EVENTS[name])
    arguments = ("rules", "explain", "set", "-o", "table", "--", id_)
    told = CliRunner().invoke(build("rules"), arguments, catch_exceptions=False).stdout
    assert told.splitlines()[-1] == f"exception known {words}"


CORRELATED = """
title: Many deletions
name: many
level: high
correlation: {type: event_count, rules: [base], group-by: [user.name], timespan: 5m, condition: {gte: 2}}
"""


@pytest.mark.usefixtures("fake")
def test_the_rule_below_a_correlation_of_its_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "many.yml").write_text(CORRELATED + "---\n" + RULE.replace("name: test-trail-stopped", "name: base"))
    id_, _ = document(EVENTS["fires"])
    arguments = ("rules", "explain", "many.yml", "-o", "table", "--", id_)
    told = CliRunner().invoke(build("rules"), arguments, catch_exceptions=False).stdout
    assert told.splitlines()[0].startswith("base fires on this event")


@pytest.mark.usefixtures("fake")
def test_an_exception_that_is_refused_is_named_where_exceptions_are_listed(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "rule.yml").write_text(RULE)
    (tmp_path / "set" / "known.yml").write_text(EXCEPTION % "31.12.2999")
    told = CliRunner().invoke(build("rules"), ["rules", "exceptions", "set", "-o", "json"], catch_exceptions=False)
    assert told.exit_code == Exit.INCOMPLETE
    assert "'31.12.2999' is no date" in told.stderr
    assert "0 exceptions" in told.stderr
