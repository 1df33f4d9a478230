"""Public sample events beside the repository: each one is mapped, or refused for a stated reason."""

import json
from collections import Counter
from typing import Any

import pytest

from ingest.formats.kubernetes_audit.format import FORMAT
from ingest.schema.errors import MalformedRecord
from tests.ingest.formats.kubernetes_audit.conformity import SHARED, faults, get, shared_lines

pytestmark = pytest.mark.skipif(not SHARED.exists(), reason="the public sample data is not beside this repository")


def _panther(source: str) -> list[dict[str, Any]]:
    found = (json.loads(line) for line in shared_lines("panther/cases.jsonl.gz"))
    return [case["event"] for case in found if case["source"] == source]


def _outcomes(records: list[bytes]) -> Counter[str]:
    """How many records ended how; asserts that every document fits the index."""
    counts: Counter[str] = Counter()
    for text in records:
        try:
            document = FORMAT.normalise(text)
        except MalformedRecord as exc:
            counts["no time" if "no readable time" in exc.what else "no audit event"] += 1
        else:
            assert faults(document) == []
            counts["mapped"] += 1
    return counts


def _encoded(events: list[dict[str, Any]], **more: str) -> list[bytes]:
    return [json.dumps({**event, **more}).encode() for event in events]


def test_every_event_of_a_real_api_server_is_mapped() -> None:
    records = [text for line in shared_lines("kubernetes_webhook/batches.ndjson.gz") for text in FORMAT.split(line)]
    assert _outcomes(records) == {"mapped": 3675}
    assert len({FORMAT.identify(text) for text in records}) == len(set(records))


def test_every_trace_of_falco_is_mapped_but_the_one_that_is_no_event() -> None:
    cases = (json.loads(line) for line in shared_lines("falco/cases.jsonl.gz"))
    assert _outcomes(_encoded([event for case in cases for event in case["events"]])) == {
        "mapped": 35,
        "no audit event": 1,
    }


def test_hand_written_events_fail_for_want_of_a_time_only() -> None:
    events = _panther("kubernetes.audit")
    assert _outcomes(_encoded(events)) == {"mapped": 4, "no time": 109, "no audit event": 1}
    timed = _outcomes(_encoded(events, stageTimestamp="2026-11-22T08:01:39Z"))
    assert timed == {"mapped": 113, "no audit event": 1}


def test_wrapped_events_of_aks_and_gke_are_mapped_once_they_have_a_time() -> None:
    aks = [event for event in _panther("azure.platformlogs") if "kube-audit" in str(event.get("category"))]
    assert _outcomes(_encoded(aks, time="2026-11-22T08:01:39Z")) == {"mapped": 24}
    gke = [event for event in _panther("gcp.audit") if str(get(event, "protoPayload.methodName")).startswith("io.k8s.")]
    assert _outcomes(_encoded(gke, timestamp="2026-11-22T08:01:39Z")) == {"mapped": len(gke)}
    assert len(gke) >= 25
