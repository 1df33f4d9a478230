"""The same rules fire on the same request, whatever kind of cluster it was made to."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import pytest

from detectors.rule import Rule
from detectors.rulebook import load
from detectors.sigma.compiled.document import view_of
from detectors.sigma.engine import InterpretedEngine
from ingest.formats.kubernetes_audit.format import FORMAT
from tests.ingest.formats.kubernetes_audit.wrappings import WRAPPINGS

NO_QUERY = "Cloud Audit Logs keep no request URI: commands and their arguments stand only there"
NO_GROUPS = "Cloud Audit Logs keep no groups of a user"
NO_IMPERSONATION = "Cloud Audit Logs name one user of a request"
NO_QUERY_TO_EXCUSE = "without a request URI nothing tells that only statistics were asked for"
NO_STATISTICS = "without a request URI nothing tells that only statistics were asked for: better a false alarm"
ON_GOOGLE: Mapping[tuple[str, str], str] = {
    ("kubernetes-files-copied-from-pod", "a copy out of a pod fires"): NO_QUERY,
    ("kubernetes-token-read-in-pod", "a token that is read fires"): NO_QUERY,
    ("kubernetes-node-proxy-used", "statistics do not fire"): NO_STATISTICS,
    ("kubernetes-node-proxy-used", "statistics of containers do not fire"): NO_STATISTICS,
    ("kubernetes-system-masters-used", "the installer credential fires"): NO_GROUPS,
    ("kubernetes-impersonation-of-administrator", "acting as the controller manager fires"): NO_IMPERSONATION,
    ("kubernetes-impersonation-of-administrator", "acting in the group of administrators fires"): NO_IMPERSONATION,
}
"""(Rule, event of its tests) for which it answers otherwise on GKE, and why it can't answer the same."""


def fail(rule: Rule, error: Exception) -> None:
    raise AssertionError(f"{rule.id} raised {error!r}") from error


@functools.cache
def rules() -> tuple[Rule, ...]:
    return tuple(rule for rule in load().rules if rule.log_source.product == "kubernetes")


def events() -> dict[tuple[str, str], Mapping[str, Any]]:
    """The events in the tests of our rules that no cloud has wrapped, those that fire and those that do not."""
    return {
        (rule.id, test.name): test.event
        for rule in rules()
        for test in rule.tests
        if isinstance(test.event, Mapping) and "auditID" in test.event
    }


def fired(body: bytes) -> set[str]:
    """Names of the rules that fire on the only record of a body."""
    engine = InterpretedEngine(rules(), {FORMAT.log_source: FORMAT.aliases}, fail)
    reader = FORMAT.within(FORMAT.context(body))
    (record,) = FORMAT.split(body)
    return {rule.id for _, rule in engine.match([view_of(0, reader.read(record), None)], FORMAT.log_source)}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_the_same_rules_fire_in_every_cluster(wrapping: str) -> None:
    different: set[tuple[str, str]] = set()
    known = events()
    for (_, test), event in known.items():
        other = fired(WRAPPINGS["self-run"](event)) ^ fired(WRAPPINGS[wrapping](event))
        different |= {(rule, test) for rule in other}
    assert different == (ON_GOOGLE.keys() if wrapping == "gke" else set())
    assert len(known) > 150
