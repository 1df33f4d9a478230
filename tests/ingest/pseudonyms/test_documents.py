"""No personal value of a document is left anywhere in it, and everything else is."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats.contract import View
from ingest.pseudonyms.personal import personal_values
from ingest.pseudonyms.pseudonyms import PseudonymKey, Pseudonyms, mark_of
from ingest.pseudonyms.replacing import SHORTEST
from ingest.schema.common_fields import COMMON_FIELDS
from ingest.schema.fields import Registry, paths

GOLDEN = Path(__file__).parents[1] / "formats"
OWN = Path(__file__).parent / "golden"
KEY, OTHER = PseudonymKey(b"\x01" * 64), PseudonymKey(b"\x02" * 64)
ON = Pseudonyms(["acme"], keys=[KEY])


def _documents() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in sorted(GOLDEN.glob("*/golden/*.expected.json")):
        found = json.loads(file.read_text("utf-8"))
        for number, document in enumerate(found if isinstance(found, list) else [found]):
            if "event" in document:
                document["data_stream"] = {"namespace": "acme"}
                document["event"]["original"] = json.dumps(document)
                document.setdefault("skytrail", {})
                yield f"{file.parts[-3]}-{file.name.split('.')[0]}-{number}", document


DOCUMENTS = dict(_documents())


def survives(value: str, document: dict[str, Any]) -> bool:
    """Whether a value stands as a word of its own anywhere, names of members included."""
    text = json.dumps(document, ensure_ascii=False)
    return re.search(rf"(?<![^\W_]){re.escape(value)}(?![^\W_])", text, re.IGNORECASE) is not None


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_personal_value_of_a_golden_document_survives_in_the_indexed_one(name: str) -> None:
    document = DOCUMENTS[name]
    made = ON.document(document)
    kind = made["skytrail"].get("principal", {}).pop("type", "")  # `root` is a name, and the kind of who has it
    assert kind == document["skytrail"].get("principal", {}).get("type", "")
    values = [value for value in personal_values(document) if len(value) >= SHORTEST]
    assert [value for value in values if survives(value, made)] == []
    assert "original" not in made["event"]


def test_enough_golden_documents_name_somebody() -> None:
    assert sum(bool(personal_values(document)) for document in DOCUMENTS.values()) > 150


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_tells_of_the_event_and_its_place_is_left_as_it_was(name: str) -> None:
    document, made = DOCUMENTS[name], ON.document(DOCUMENTS[name])
    for field in ("@timestamp", "data_stream", "rule", "tags"):
        assert made.get(field) == document.get(field)
    assert made["event"] == {key: value for key, value in document["event"].items() if key != "original"} | {
        key: made["event"][key] for key in ("reason", "url", "reference") if key in document["event"]
    }
    for field in ("id", "provider"):
        assert made.get("cloud", {}).get("account", {}).get(field) == document.get("cloud", {}).get("account", {}).get(
            field
        )


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_document_is_of_registered_fields(name: str) -> None:
    common = Registry(COMMON_FIELDS)
    before = {path for path in paths(DOCUMENTS[name]) if not common.allows(path)}
    assert {path for path in paths(ON.document(DOCUMENTS[name])) if not common.allows(path)} <= before | {
        path for path in paths(ON.document(DOCUMENTS[name])) if "psn-" in path or "fd0" in path
    }


@pytest.mark.parametrize("case", ["aws_cloudtrail-add_user_to_group-0", "azure_signinlogs-guest_over_ropc-0"])
def test_the_document_under_pseudonyms_is_the_golden_one(case: str) -> None:
    file, made = OWN / f"{case}.expected.json", ON.document(DOCUMENTS[case])
    assert made == json.loads(file.read_text("utf-8"))


def _about(**fields: Any) -> dict[str, Any]:
    return {
        "data_stream": {"namespace": "acme"},
        "event": {"original": "x", "action": "alice"},
        "skytrail": {},
    } | fields


def test_other_namespaces_are_not_touched() -> None:
    document = _about(user={"name": "alice"}) | {"data_stream": {"namespace": "globex"}}
    assert ON.document(document) is document


def test_a_name_is_replaced_in_texts_lists_names_of_members_and_escapes() -> None:
    made = ON.document(
        _about(
            user={"name": "zoë.braun", "email": "Zoe.Braun@example.com"},
            message="zoë.braun did it; see https://x.example/?u=zo%C3%AB.braun&m=Zoe.Braun%40example.com",
            aws={
                "flattened": {
                    "body": '{"u":"zo\\u00eb.braun"}',
                    "ZOË.BRAUN": [["arn:aws:iam::1:user/zoë.braun"], {"zoe.braun@EXAMPLE.com": True}],
                }
            },
        )
    )
    text = json.dumps(made, ensure_ascii=False).lower()
    assert not any(part in text for part in ("braun", "zoe.", "zo\\u00eb", "zo%c3"))
    assert made["event"] == {"action": "alice"}


def test_an_email_address_that_no_field_names_is_found_in_a_text() -> None:
    made = ON.document(_about(message="ask carol.jones@example.com or robot@x.iam.gserviceaccount.com"))
    token = KEY.token("acme", "carol.jones@example.com")
    assert made["message"] == f"ask {token} or robot@x.iam.gserviceaccount.com"


def test_a_part_of_a_longer_word_is_no_name() -> None:
    made = ON.document(_about(user={"name": "Admin"}, message="AdministratorAccess, Admin", cloud={"region": "x"}))
    assert made["message"] == f"AdministratorAccess, {KEY.token('acme', 'Admin')}"


@pytest.mark.parametrize(
    ("name", "text", "left"),
    [
        (
            "anna",
            "Anna ANNA_x annabel %2Fanna% \\nanna \\u0022anna x.anna",
            "{0} {0}_x annabel %2F{0}% \\n{0} \\u0022{0} x.{0}",
        ),
        ("weiß", "İ WEIß, weiß; weiss", "İ {0}, {0}; weiss"),
        ("ΑΛΈΞΗΣ", "αλέξης.x ΑΛΈΞΗΣ", "{0}.x {0}"),
        ("a.b", "a.b.a.b a.bb", "{0}.{0} a.bb"),
        ("Ann Lee", "by Ann Lee, by Ann", "by {0}, by Ann"),
        ("10.0.0.1", "10.0.0.1:443 10.0.0.12 110.0.0.1", "{0}:443 10.0.0.12 110.0.0.1"),
        ("2001:DB8::1", "[2001:db8::1]:443", "[{0}]:443"),
    ],
)
def test_words_are_found_whatever_their_case_and_parts_of_words_are_not(name: str, text: str, left: str) -> None:
    field = {"source": {"ip": name}} if ":" in name or name[0].isdigit() else {"user": {"name": name}}
    made = ON.document(_about(message=text, **field))
    assert made["message"] == left.format(KEY.token("acme", name))


def test_the_longer_of_two_names_is_found_first_and_an_email_address_before_a_name_that_begins_it() -> None:
    related = {"user": ["ann", "ann.lee", "gcp:ann.lee@x.example"]}
    made = ON.document(_about(related=related, message="ann.lee gcp:ann.lee@x.example ann.lee@x.example ann"))
    longer, key, short = (KEY.token("acme", name) for name in ("ann.lee", "gcp:ann.lee@x.example", "ann"))
    assert made["message"] == f"{longer} {key} {KEY.token('acme', 'ann.lee@x.example')} {short}"


@pytest.mark.parametrize("word", ["aws", "eu-central-1", "iam", "user", "111122223333", "pods"])
def test_who_calls_himself_like_a_word_of_the_provider_does_not_hide_by_it(word: str) -> None:
    cloud = {"provider": "aws", "region": "eu-central-1", "service": {"name": "iam"}, "account": {"id": "111122223333"}}
    orchestrator = {"resource": {"type": "pods", "name": word}}
    principal = {"key": "aws:X", "type": "user", "display": word}
    document = _about(user={"name": word}, cloud=cloud, orchestrator=orchestrator, skytrail={"principal": principal})
    made = ON.document(document)
    assert made["cloud"] == cloud
    assert made["orchestrator"]["resource"]["type"] == "pods"
    assert made["skytrail"]["principal"]["type"] == "user"


def test_two_spellings_of_a_name_as_members_are_both_kept() -> None:
    made = ON.document(
        _about(user={"email": "a.b@x.example"}, aws={"flattened": {"a.b@x.example": 1, "A.B@x.example": 2}})
    )
    token = KEY.token("acme", "a.b@x.example")
    assert made["aws"]["flattened"] == {token: 1, f"{token}-2": 2}


def test_services_and_this_host_are_nobody() -> None:
    document = _about(
        user={"name": "system:serviceaccount:prod:pump"},
        source={"ip": "127.0.0.1"},
        related={"user": ["robot"], "ip": ["::1", "0.0.0.0"]},
        skytrail={"principal": {"key": "k8s:x/robot", "type": "service_account", "display": "robot"}},
    )
    made = ON.document(document)
    assert (made["user"], made["source"], made["related"]) == (
        document["user"],
        document["source"],
        document["related"],
    )


def test_one_person_has_one_token_in_every_data_set_and_the_join_holds() -> None:
    cloudtrail = ON.document(_about(user={"name": "Mara@example.com"}, source={"ip": "192.0.2.7"}))
    entra = ON.document(_about(user={"email": "mara@example.com"}, client={"ip": "::ffff:192.0.2.7"}))
    assert cloudtrail["user"]["name"] == entra["user"]["email"]
    assert cloudtrail["source"]["ip"] == entra["client"]["ip"]


def test_only_the_kinds_that_are_asked_for_become_tokens() -> None:
    document = _about(user={"name": "alice", "email": "a@example.com"}, source={"ip": "192.0.2.7"})
    made = Pseudonyms(["*"], ["email"], [KEY]).document(document)
    assert (made["user"]["name"], made["source"]["ip"]) == ("alice", "192.0.2.7")
    assert made["user"]["email"] == KEY.token("acme", "a@example.com")
    assert mark_of(made) == {"key": KEY.id, "kinds": ["email"], "version": "1"}


def test_a_stored_document_is_made_again_under_the_key_and_kinds_that_it_names() -> None:
    document = _about(user={"name": "alice"}, source={"ip": "192.0.2.7"})
    stored = Pseudonyms(["acme"], ["user"], [OTHER]).document(document)
    mark = mark_of(stored)
    assert mark is not None
    assert Pseudonyms(["acme"], keys=[KEY, OTHER]).as_marked(document, mark) == stored
    assert Pseudonyms(keys=[OTHER]).as_marked(document, mark) == stored  # off by now
    assert ON.as_marked(document, mark) is None
    assert Pseudonyms(keys=[OTHER]).as_marked(document, {**mark, "version": "0"}) is None


def test_what_a_rule_saw_is_told_in_tokens() -> None:
    ecs = _about(user={"name": "alice"}, related={"ip": ["192.0.2.7"]})
    seen = ON.view(View({"userIdentity": {"userName": "alice"}, "sourceIPAddress": "192.0.2.7"}, ecs, True, "m"))
    assert seen.vendor["userIdentity"]["userName"] == seen.ecs["user"]["name"] == KEY.token("acme", "alice")
    assert seen.vendor["sourceIPAddress"] == seen.ecs["related"]["ip"][0]
    assert (seen.final, seen.member) == (True, "m")


def _crowd(count: int) -> dict[str, Any]:
    """A record about many users at once, all of them named in one text as well."""
    names = [f"user.{number}@x{number}.example" if number % 2 else f"user-{number}" for number in range(count)]
    body = {"users": [{"userName": name} for name in names], "text": " ".join(names)}
    return _about(aws={"flattened": {"body": body}}, message="@" * count + " ".join(names))


def _seconds(count: int) -> float:
    document = _crowd(count)
    started = time.process_time()
    made = ON.document(document)
    took = time.process_time() - started
    assert not any(survives(value, made) for value in ("user-0", "user.1@x1.example", f"user-{count - 2}"))
    return took


def test_a_record_that_names_thousands_costs_in_proportion() -> None:
    _seconds(1000)
    assert min(_seconds(16_000) for _ in range(2)) < 60 * min(_seconds(1000) for _ in range(3))


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.sampled_from(["alice", "a b@c.example"])
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner))


@given(TREES, st.text(min_size=SHORTEST, max_size=12).filter(str.strip))
def test_any_document_keeps_its_shape_and_loses_the_name(tree: Any, name: str) -> None:
    document = _about(user={"name": name}, aws={"flattened": {"body": tree, "name": name}}, message=f"by {name}.")
    document = json.loads(json.dumps(document))
    made = ON.document(document)
    if name in personal_values(document):
        assert made["user"]["name"] == made["aws"]["flattened"]["name"] == KEY.token("acme", name)
        assert made["message"] != document["message"] or not re.search(r"[^\W_]", name)
    assert _shape(made["aws"]) == _shape(document["aws"])
    assert ON.document(document) == made


def _shape(node: Any) -> Any:
    if isinstance(node, dict):
        return sorted(map(repr, map(_shape, node.values())))
    return [_shape(each) for each in node] if isinstance(node, list) else type(node).__name__
