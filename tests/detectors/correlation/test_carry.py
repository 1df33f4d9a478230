"""Chains that go on with a field that only a match of the correlation below has."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.correlation.alone import Alone
from detectors.correlation.model import Correlation
from detectors.correlation.signals import Router
from detectors.correlation.state import Signal
from ingest.schema.errors import ConfigError
from tests.detectors.correlation.building import MINUTE, START, chain, draft, signal


def correlations() -> list[Correlation]:
    """A command (a) and then a role (b), whose session then reads (c)."""
    below = draft(
        "x",
        type="temporal_ordered",
        rules=["a", "b"],
        carry=["session"],
        aliases={"session": {"b": "answer.session"}},
    )
    above = draft(
        "y",
        type="temporal_ordered",
        rules=["x", "c"],
        aliases={"session": {"c": "caller"}},
        **{"group-by": ["session"]},
    )
    return chain(below, above)


def events(read_by: str, given_to: tuple[str, ...] = ("s1",)) -> list[Signal]:
    below, above = correlations()
    command = signal(below, 0, "a", values=("",))
    roles = [signal(below, 60 + n, "b", values=(json.dumps(name),)) for n, name in enumerate(given_to)]
    return [command, *roles, signal(above, 120, "c", by=(json.dumps(read_by),))]


def alerts(signals: list[Signal]) -> list[str]:
    alone = Alone(Router(correlations()))
    found = alone.follow(signals) + alone.finish()
    return sorted({one.alert for one in found if one.rule_id == "y"})


def test_the_session_that_the_role_went_to_completes_the_chain() -> None:
    assert len(alerts(events("s1"))) == 1


def test_another_session_does_not() -> None:
    assert alerts(events("s2")) == []


def test_each_of_several_roles_is_followed() -> None:
    assert len(alerts(events("s1", ("s1", "s2")))) == 1
    assert len(alerts(events("s2", ("s1", "s2")))) == 1


def test_a_match_without_the_field_leads_no_further() -> None:
    below, above = correlations()
    nameless = [signal(below, 0, "a", values=("",)), signal(below, 60, "b", values=("",))]
    assert alerts([*nameless, signal(above, 120, "c", by=('""',))]) == []


@given(st.permutations(events("s1", ("s1", "s2"))))
def test_the_order_of_arrival_changes_nothing(signals: list[Signal]) -> None:
    received = [msgspec.structs.replace(one, seen=START + MINUTE) for one in signals]
    assert alerts(received) == alerts(events("s1", ("s1", "s2")))


def test_only_temporal_types_carry() -> None:
    with pytest.raises(ConfigError, match="the key is unknown for the type event_count"):
        draft("x", carry=["session"], condition={"gte": 2})
