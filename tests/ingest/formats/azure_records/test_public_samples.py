"""Public sample events beside the repository: each one is mapped, or refused for a stated reason."""

import json
from collections import Counter

import pytest

from ingest.formats.registry import all_formats, format_named
from ingest.schema.errors import MalformedRecord
from tests.ingest.formats.azure_records.conformity import NAMES, SHARED, faults, panther

pytestmark = pytest.mark.skipif(not SHARED.exists(), reason="the public sample data is not beside this repository")


def test_every_case_is_mapped_but_the_audit_of_clusters() -> None:
    counts: Counter[tuple[str, str]] = Counter()
    for case in panther():
        if case["source"] in NAMES:
            format_ = format_named(case["source"])
            try:
                document = format_.normalise(json.dumps(case["event"]).encode())
            except MalformedRecord as exc:
                cluster = "belongs to kubernetes.audit (category 'kube-audit')" in exc.what
                counts[case["source"], "audit of a cluster" if cluster else exc.what] += 1
            else:
                assert faults(format_, document) == []
                counts[case["source"], "mapped"] += 1
    assert counts == {
        ("azure.activitylogs", "mapped"): 111,
        ("azure.signinlogs", "mapped"): 15,
        ("azure.auditlogs", "mapped"): 13,
        ("azure.platformlogs", "mapped"): 12,
        ("azure.platformlogs", "audit of a cluster"): 24,
    }


def test_each_case_is_recognised_by_one_format_alone() -> None:
    for case in panther():
        text = json.dumps(case["event"]).encode()
        found = [name for name in NAMES if all_formats()[name].recognise(text)]
        cluster = case["event"].get("category") == "kube-audit"
        assert found == ([case["source"]] if case["source"] in NAMES and not cluster else [])
