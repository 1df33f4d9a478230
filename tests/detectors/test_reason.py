from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.reason import MAX_REASON, MAX_VALUE, places_of, word_reason
from detectors.sigma.fields import Fields
from ingest.formats.contract import View

FIELDS = Fields(
    View(
        {
            "eventName": "StopLogging",
            "requestParameters": {"name": "main", "ids": ["a", "b", "c", "d", "a"]},
            "n": None,
        },
        ecs={"skytrail": {"principal": {"display": "mallory"}}, "cloud": {"account": {"id": "111122223333"}}},
    ),
    {},
)

WORDED = [
    ("{principal} called {eventName} in {account}.", "mallory called StopLogging in 111122223333."),
    ("{requestParameters.ids}", "a, b, c and 1 more"),
    ("by {requestParameters.roleName}", "by (unknown role name)"),
    ("by {n}", "by (unknown n)"),
    ("{requestParameters.roleName|requestParameters.name}", "main"),
    ("no place { here }", "no place { here }"),
    ("{cluster}", "(unknown cluster)"),
]


@pytest.mark.parametrize(("template", "sentence"), WORDED)
def test_a_reason_is_worded(template: str, sentence: str) -> None:
    assert word_reason(template, FIELDS) == sentence


def test_values_of_an_attacker_stay_on_one_honest_line() -> None:
    fields = Fields(View({"a": "x\r\ny\x1b[31m\u202eevil\u200b\u2028z" + "w" * 5000}), {})
    sentence = word_reason("{a} did it", fields)
    assert sentence.startswith("x y[31mevilz")
    assert sentence.endswith("… did it")
    assert len(sentence) <= MAX_VALUE + len(" did it")


def test_values_are_not_read_as_templates() -> None:
    assert word_reason("{a}", Fields(View({"a": "{b}", "b": "secret"}), {})) == "{b}"


def test_the_places_of_a_template_are_known_by_their_full_names() -> None:
    assert places_of("{principal} {a|b}") == ("skytrail.principal.display", "a", "b")


@given(st.text(), st.text())
def test_a_reason_is_always_short_and_printable(template: str, value: str) -> None:
    sentence = word_reason(template + "{a}", Fields(View({"a": value}), {}))
    assert len(sentence) <= MAX_REASON
    assert not {unicodedata.category(c) for c in sentence} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
