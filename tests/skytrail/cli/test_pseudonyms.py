"""`skytrail pseudonyms`: a key is made once, a known name has its token, and two people learn who stands behind one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import Result

from ingest.schema.errors import ConfigError, Refused
from tests.skytrail.cli.test_hold import Office
from tests.skytrail.cli.test_retention import place

__all__ = ["place"]


class Bureau(Office):
    """An office whose installation has pseudonyms and a Kafka that is away: records of actions wait on disk."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        told = msgspec.toml.decode((place / "skytrail.toml").read_bytes())
        told["pseudonyms"] = {"namespaces": ["acme"]}
        away = {"bootstrap_servers": "127.0.0.1:1", "security_protocol": "PLAINTEXT", "publish_deadline_s": 0.1}
        (place / "skytrail.toml").write_bytes(msgspec.toml.encode(told | {"kafka": away}))

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        return list(json.loads(self.run(*arguments, "-o", "json").stdout))

    def token(self, value: str) -> str:
        return str(self.rows("pseudonyms", "token", value, "-n", "acme")[0]["token"])

    def asked(self, *tokens: str) -> str:
        out = str(self.place / "7.request")
        words = ("-n", "acme", "--reason", "CASE-7", "--by", "alice", "--key", str(self.place / "alice.pem"))
        self.run("pseudonyms", "request", *tokens, *words, "--out", out)
        return out

    def reveal(self, request: str, *tokens: str) -> Result:
        return self.run("pseudonyms", "reveal", *tokens, "--request", request, "-n", "acme", "-o", "json")

    def records(self, name: str) -> list[dict[str, Any]]:
        """What the journal has of an action."""
        found = [msgspec.json.decode(file.read_bytes()) for file in sorted((self.place / "actions").iterdir())]
        return [each for each in found if each["name"] == name]


@pytest.fixture
def bureau(place: Path) -> Bureau:
    made = Bureau(place)
    made.run("pseudonyms", "key", "-o", "json")
    return made


def test_two_people_learn_who_it_is_and_it_is_written_down_who_they_were(bureau: Bureau) -> None:
    person, address = bureau.token("ann.person@example.com"), bureau.token("192.0.2.7")
    request = bureau.asked(person, address)
    assert "ann" not in Path(request).read_text()
    about = json.loads(bureau.run("pseudonyms", "subject", address, person, "-n", "acme", "-o", "json").stdout)
    assert json.loads(bureau.approve(request, "bob").stdout)["subject"] == about["subject"]
    result = bureau.reveal(request, person, address)
    assert result.exit_code == 0
    assert [(row["kind"], row["value"]) for row in json.loads(result.stdout)] == [
        ("email", "ann.person@example.com"),
        ("address", "192.0.2.7"),
    ]
    (record,) = bureau.records("pseudonyms.reveal")
    assert (record["outcome"], record["kind"]) == ("success", "access")
    assert record["target"] == f"{person}, {address}"
    assert {key: record["details"][key] for key in ("requested_by", "agreed", "reason", "namespace")} == {
        "requested_by": "alice",
        "agreed": ["bob"],
        "reason": "CASE-7",
        "namespace": "acme",
    }
    assert "ann.person" not in json.dumps(record)


def test_one_person_alone_is_refused_and_that_is_written_down_too(bureau: Bureau) -> None:
    token = bureau.token("ann")
    request = bureau.asked(token)
    with pytest.raises(Refused, match="1 people besides alice must agree, 0 did"):
        bureau.reveal(request, token)
    with pytest.raises(Refused, match="somebody else must agree"):
        bureau.approve(request, "alice")
    bureau.approve(request, "bob")
    with pytest.raises(ConfigError, match="it is about reveal"):
        bureau.reveal(request, bureau.token("bob"))
    outcomes = [(each["outcome"], each["reason"].partition(":")[0]) for each in bureau.records("pseudonyms.reveal")]
    assert sorted(outcomes) == [("failure", "ConfigError"), ("failure", "Refused")]


def test_a_token_that_can_not_be_told_is_said_to_be_one(bureau: Bureau) -> None:
    token, known = bureau.token("2001:db8::1"), bureau.token("ann")
    request = bureau.asked(token, known)
    bureau.approve(request, "carol")
    result = bureau.reveal(request, token, known)
    assert result.exit_code == 5
    untold, told = json.loads(result.stdout)
    assert (untold["value"], told["value"]) == ("", "ann")
    assert "archive" in untold["because"]


def test_asking_for_a_token_is_recorded_with_the_token_and_without_the_name(bureau: Bureau) -> None:
    token = bureau.token("ann.person@example.com")
    (record,) = bureau.records("pseudonyms.token")
    assert record["details"]["tokens"] == [token]
    assert "ann" not in json.dumps(record["details"])


def test_after_a_rotation_both_tokens_of_a_name_are_known_and_both_are_revealed(bureau: Bureau) -> None:
    old = bureau.token("ann")
    bureau.run("pseudonyms", "rotate")
    newer, before = (row["token"] for row in bureau.rows("pseudonyms", "token", "ann", "-n", "acme"))
    assert before == old != newer
    request = bureau.asked(old, newer)
    bureau.approve(request, "bob")
    assert [row["value"] for row in json.loads(bureau.reveal(request, old, newer).stdout)] == ["ann", "ann"]


def test_a_key_is_not_made_twice_and_commands_without_one_say_what_to_do(bureau: Bureau) -> None:
    with pytest.raises(ConfigError, match="there is one"):
        bureau.run("pseudonyms", "key")
    (bureau.place / "pseudonyms" / "keys.json").unlink()
    with pytest.raises(ConfigError, match="there are none here"):
        bureau.run("pseudonyms", "token", "ann", "-n", "acme")
    with pytest.raises(ConfigError, match="No such file"):
        bureau.run("pseudonyms", "rotate")


def test_a_namespace_without_a_ledger_has_nobody_who_may_agree(bureau: Bureau) -> None:
    words = ("--reason", "x", "--by", "alice", "--key", str(bureau.place / "alice.pem"), "--out", "x")
    with pytest.raises(ConfigError, match="has no ledger"):
        bureau.run("pseudonyms", "request", "psn-u-aaaa", "-n", "initech", *words)
