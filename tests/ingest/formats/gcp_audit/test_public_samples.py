"""Public samples and rules beside the repository: each record is mapped or refused for a stated reason."""

import json
from collections import Counter

import pytest
import yaml

from ingest.formats.gcp_audit.format import FORMAT
from ingest.formats.kubernetes_audit.format import FORMAT as KUBERNETES
from ingest.schema.errors import MalformedRecord
from tests.ingest.formats.conformity import SHARED, Golden, shared_cases

pytestmark = pytest.mark.skipif(not SHARED.exists(), reason="the public sample data is not beside this repository")
GOLDEN = Golden(FORMAT)
_REASONS = {"no readable time": "no time", "kubernetes.audit": "kubernetes.audit", "no protoPayload": "no payload"}


def test_every_case_is_mapped_or_refused_for_a_reason_that_holds() -> None:
    counts: Counter[str] = Counter()
    for case in shared_cases("gcp.audit"):
        record = json.dumps(case["event"]).encode()
        try:
            document = FORMAT.normalise(record)
        except MalformedRecord as exc:
            counts[next(name for words, name in _REASONS.items() if words in exc.what)] += 1
        else:
            assert GOLDEN.faults(document) == []
            counts["mapped"] += 1
    assert counts == {"mapped": 64, "kubernetes.audit": 31, "no time": 2, "no payload": 2}


def test_what_is_refused_as_kubernetes_is_taken_by_that_format_once_it_has_a_time() -> None:
    taken = 0
    for case in shared_cases("gcp.audit"):
        record = json.dumps({**case["event"], "timestamp": "2026-11-22T08:01:39Z"}).encode()
        try:
            FORMAT.read(record)
        except MalformedRecord as exc:
            if "kubernetes.audit" in exc.what:
                assert KUBERNETES.normalise(record)["event"]["module"] == "kubernetes"
                taken += 1
    assert taken == 31


def test_every_field_of_public_rules_for_this_log_is_known() -> None:
    asked: set[str] = set()
    for path in (SHARED / "sigma" / "rules" / "cloud" / "gcp" / "audit").glob("*.yml"):
        detection = yaml.safe_load(path.read_text("utf-8"))["detection"]
        selections = [part for part in detection.values() if isinstance(part, dict)]
        asked.update(name.partition("|")[0] for part in selections for name in part)
    assert len(asked) == 7
    assert asked <= FORMAT.aliases.keys()
