"""One file with records of several formats, as an Event Hub or a bucket of exports brings them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from ingest.formats.registry import format_named
from ingest.schema.errors import RejectedRecord
from skytrail.cli.exits import Exit
from skytrail.cli.main import build, first_word
from tests.skytrail.scan.events import call

EXEC = {
    "kind": "Event",
    "apiVersion": "audit.k8s.io/v1",
    "auditID": "0b1ad4d8-8a0b-4a5c-9b57-2d5f6f0c9a11",
    "stage": "ResponseComplete",
    "requestURI": "/api/v1/namespaces/shop/pods/orders/exec?command=sh",
    "verb": "create",
    "user": {"username": "mallory", "groups": ["system:authenticated"]},
    "objectRef": {"resource": "pods", "subresource": "exec", "namespace": "shop", "name": "orders"},
    "responseStatus": {"code": 101},
    "stageTimestamp": "2026-03-02T11:20:05.123456Z",
}
IN_AKS = {
    "category": "kube-audit",
    "operationName": "Microsoft.ContainerService/managedClusters/diagnosticLogs/Read",
    "resourceId": "/SUBSCRIPTIONS/1/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/SHOP",
    "time": "2026-03-02T11:20:05Z",
    "properties": {"log": json.dumps(EXEC), "pod": "kube-apiserver", "stream": "stdout"},
}


def scanned(folder: Path, events: list[Any], *arguments: str) -> tuple[int, list[tuple[str, int]]]:
    (folder / "mixed.ndjson").write_text("".join(json.dumps(event) + "\n" for event in events), "utf-8")
    result = CliRunner().invoke(
        build("scan"), ["scan", str(folder / "mixed.ndjson"), "-o", "jsonl", *arguments], catch_exceptions=False
    )
    hits = [json.loads(line) for line in result.stdout.splitlines()]
    wanted = {"aws-trail-stopped", "kubernetes-pod-exec"}
    return result.exit_code, [(hit["rule_id"], hit["record"]) for hit in hits if hit["rule_id"] in wanted]


def test_each_record_is_evaluated_as_what_it_is_and_hits_keep_their_order(tmp_path: Path) -> None:
    code, hits = scanned(tmp_path, [call(1, "StopLogging"), EXEC, call(2), IN_AKS, call(3, "StopLogging")])
    assert code == Exit.OK
    assert hits == [
        ("aws-trail-stopped", 0),
        ("kubernetes-pod-exec", 1),
        ("kubernetes-pod-exec", 3),
        ("aws-trail-stopped", 4),
    ]


def test_a_record_that_is_of_no_format_is_still_refused(tmp_path: Path) -> None:
    code, hits = scanned(tmp_path, [call(1, "StopLogging"), {"hello": "world"}])
    assert (code, hits) == (Exit.INCOMPLETE, [("aws-trail-stopped", 0)])


def test_what_was_said_to_be_of_one_format_is_read_as_that(tmp_path: Path) -> None:
    code, hits = scanned(tmp_path, [call(1, "StopLogging"), EXEC], "--format", "aws.cloudtrail")
    assert (code, hits) == (Exit.INCOMPLETE, [("aws-trail-stopped", 0)])


def test_one_doubtful_record_is_asked_about_and_its_neighbours_are_not_refused(tmp_path: Path) -> None:
    huge = json.dumps(call(2)).replace('"main"', "1" + "0" * 5000)
    deep = json.dumps(call(3)).replace('"main"', "[" * 900 + "]" * 900)
    overflowing = json.dumps(call(4)).replace('"main"', "1e999")
    (tmp_path / "odd.ndjson").write_text("\n".join([json.dumps(call(1, "StopLogging")), huge, deep, overflowing]))
    told = tmp_path / "summary.json"
    arguments = ["scan", str(tmp_path / "odd.ndjson"), "--format", "aws.cloudtrail", "--summary-file", str(told)]
    CliRunner().invoke(build(first_word(arguments)), arguments, catch_exceptions=False)
    refusing = 0
    for line in (huge, deep, overflowing):
        try:
            format_named("aws.cloudtrail").read(line.encode())
        except RejectedRecord:
            refusing += 1
    assert refusing
    assert json.loads(told.read_text())["refused"] == refusing
