from __future__ import annotations

from pathlib import Path

import pytest

from detectors.proving import OWN_RULES, files_of_others
from detectors.rulebook import lint, load
from ingest.schema.errors import ConfigError
from tests.detectors.shipped import shipped

EVENT = """{eventVersion: '1.11', eventTime: '2026-03-02T11:20:05Z', eventSource: iam.amazonaws.com,
      eventName: CreateUser,
      awsRegion: us-east-1, sourceIPAddress: 198.51.100.23, eventID: 0d3b7a52-7f0e-4a4e-8a2c-2f2b1f6f9c01,
      userIdentity: {type: IAMUser, userName: mallory, accountId: '111122223333'}}"""

SOUND = f"""
title: User created
id: 3f0f3e9a-5d7a-4b36-9d7b-0b8a5b5f7a10
name: user-created
level: low
description: A user was created.
tags: [attack.persistence, attack.t1136.003]
logsource: {{product: aws, service: cloudtrail}}
detection:
  s: {{eventName: CreateUser}}
  condition: s
falsepositives: [Onboarding]
runbook: [Ask who needs the user., Look for keys of the user within the hour.]
reason: '{{principal}} created a user.'
tests:
  - name: a new user fires
    fires: true
    event: {EVENT}
  - name: another call does not
    fires: false
    event: {EVENT.replace("CreateUser", "ListUsers")}
"""


def messages(folder: Path) -> list[str]:
    return [f"{finding.severity}: {finding.message}" for finding in lint([folder])]


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_a_sound_rule_loads_without_a_remark(tmp_path: Path) -> None:
    write(tmp_path, "sound.yml", SOUND)
    book = load([tmp_path])
    assert book.findings == ()
    assert [rule.id for rule in book.rules] == ["user-created"]
    assert book.get("user-created") is book.rules[0]
    assert book.get("another") is None


BROKEN: list[tuple[str, str, str]] = [
    ("a syntax error", "title: [", "reading YAML"),
    ("an unknown modifier", SOUND.replace("{eventName: Cr", "{eventName|sounds_like: Cr"), "sounds_like"),
    ("a catastrophic pattern", SOUND.replace("eventName: CreateUser}", "eventName|re: '(a{900}){900}'}"), "repetition"),
    (
        "a bomb",
        "a: &a [x, x]\n"
        + "\n".join(f"b{i}: &b{i} [*{f'b{i - 1}' if i else 'a'}, *{f'b{i - 1}' if i else 'a'}]" for i in range(30)),
        "aliases",
    ),
    ("a failing test", SOUND.replace("eventName: ListUsers", "eventName: CreateUser"), "the rule fired"),
    ("a test event without time", SOUND.replace("eventTime: '2026-03-02T11:20:05Z', ", ""), "the event is refused"),
    ("a test of another shape", SOUND.replace("fires: true", "fires: maybe"), "tests"),
    (
        "a test in an unknown format",
        SOUND.replace("fires: true", "fires: true\n    format: nothing"),
        "no format 'nothing'",
    ),
    ("a suppression of another shape", SOUND + "suppression: {window_seconds: -1}\n", "is not between 0 and"),
    ("a list where a text is wanted", SOUND.replace("level: low", "level: [low]"), "a text is wanted"),
    (
        "our rule without a runbook",
        SOUND.replace("runbook: [Ask who needs the user., L", "author: Skytrail\nrunbook: [L"),
        "runbook",
    ),
    ("a list at the top", "- 1", "a map is wanted"),
]


@pytest.mark.parametrize(("text", "why"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_broken_rule_is_named_and_the_others_load(tmp_path: Path, text: str, why: str) -> None:
    write(tmp_path, "broken.yml", text)
    write(tmp_path, "sound.yml", SOUND.replace("3f0f3e9a", "4f0f3e9a").replace("name: user-created", "name: sound"))
    book = load([tmp_path])
    assert [rule.id for rule in book.rules] == ["sound"]
    assert [finding.file for finding in book.errors] == [str(tmp_path / "broken.yml")] * len(book.errors)
    assert any(why in finding.message for finding in book.errors)
    with pytest.raises(ConfigError, match="loading rules"):
        load([tmp_path], strict=True)


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary.yml").write_bytes(b"\xff\xfe\x00")
    assert "reading file" in messages(tmp_path)[0]


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load([tmp_path / "nothing"])


def test_the_second_rule_with_an_id_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.yml", SOUND)
    write(tmp_path, "b.yml", SOUND.replace("3f0f3e9a", "4f0f3e9a"))
    write(tmp_path, "c.yml", SOUND.replace("name: user-created", "name: other"))
    book = load([tmp_path])
    assert [rule.source for rule in book.rules] == [str(tmp_path / "a.yml")]
    assert [finding.message.split(" is taken")[0] for finding in book.errors] == [
        "the id user-created",
        "the id 3f0f3e9a-5d7a-4b36-9d7b-0b8a5b5f7a10",
    ]


WARNED: list[tuple[str, str, str]] = [
    (
        "a field that no event has",
        SOUND.replace("{eventName: CreateUser}", "{eventName: CreateUser, ActivityDetails: null}"),
        "ActivityDetails",
    ),
    (
        "a reason over a field that no event has",
        SOUND.replace("{principal} created", "{nobody.knows} created"),
        "nobody.knows",
    ),
    ("a gap in the reason", SOUND.replace("{principal} created", "{requestParameters.path} created"), "a gap"),
    (
        "a log source that no format has",
        SOUND.split("tests:", maxsplit=1)[0].replace("product: aws", "product: tape"),
        "can never match",
    ),
    ("a rule given up", SOUND + "status: Deprecated\n", "its status is deprecated"),
    ("a rule that is not supported", SOUND + "status: unsupported\n", "its status is unsupported"),
    ("a status of the future", SOUND + "status: shiny\n", "shiny"),
    ("no test that misses", SOUND.split("  - name: another", maxsplit=1)[0], "does not"),
    ("no level", SOUND.replace("level: low\n", ""), "level"),
]


@pytest.mark.parametrize(("text", "why"), [row[1:] for row in WARNED], ids=[row[0] for row in WARNED])
def test_what_is_only_odd_is_a_warning_and_loads(tmp_path: Path, text: str, why: str) -> None:
    write(tmp_path, "odd.yml", text)
    book = load([tmp_path])
    assert len(book.rules) == 1
    assert {finding.severity for finding in book.findings} == {"warning"}
    assert any(why in finding.message for finding in book.findings)


def test_the_version_follows_the_content_and_not_the_place(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    write(tmp_path / "one", "a.yml", SOUND)
    write(tmp_path / "two", "b.yaml", SOUND)
    first, second = load([tmp_path / "one"]), load([tmp_path / "two"])
    assert first.version == second.version
    write(tmp_path / "two", "b.yaml", SOUND.replace("A user was created.", "A user was made."))
    assert load([tmp_path / "two"]).version != first.version


def test_placeholders_reach_the_rules(tmp_path: Path) -> None:
    write(tmp_path, "a.yml", SOUND.replace("eventName: CreateUser}", "eventName|expand: '%calls%'}"))
    assert load([tmp_path]).rules == ()
    assert len(load([tmp_path], {"calls": ["CreateUser"]}).rules) == 1


def test_a_rule_without_name_is_known_by_its_uuid_or_file(tmp_path: Path) -> None:
    nameless = SOUND.replace("name: user-created\n", "")
    write(tmp_path, "By File.yml", nameless.replace("id: 3f0f3e9a-5d7a-4b36-9d7b-0b8a5b5f7a10\n", ""))
    write(tmp_path, "uuid.yml", nameless)
    assert {rule.id for rule in load([tmp_path]).rules} == {"by-file", "3f0f3e9a-5d7a-4b36-9d7b-0b8a5b5f7a10"}


def test_a_worker_runs_the_tests_of_rules_that_did_not_ship_and_of_those_alone(tmp_path: Path) -> None:
    write(tmp_path, "false.yml", SOUND.replace("eventName: CreateUser}", "eventName: DeleteUser}"))
    book = load([OWN_RULES / "gcp", tmp_path], prove=files_of_others)
    assert {result.rule for result in book.results} == {"user-created"}
    assert [finding.rule for finding in book.errors] == ["user-created"]
    assert len(book.rules) == len(load([OWN_RULES / "gcp"]).rules) > 0


def test_our_rules_lie_one_in_a_file() -> None:
    book = shipped()
    files = [rule.source for rule in book.rules]
    assert len(files) == len(set(files))
    assert all(Path(file).is_relative_to(OWN_RULES) for file in files)


def test_a_file_that_several_paths_reach_is_read_once(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    file = write(folder, "a.yml", SOUND)
    (tmp_path / "link").symlink_to(folder)
    for paths in ([folder, folder], [folder, file], [file, folder], [tmp_path / "link", folder], [tmp_path]):
        book = load(paths)
        assert book.findings == ()
        assert [rule.id for rule in book.rules] == ["user-created"]
        assert book.version == load([folder]).version
