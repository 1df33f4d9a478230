"""Subscriptions of CloudWatch Logs through Firehose, to the end of the collector."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from ingest.collector import Collector, Identity
from ingest.formats.registry import format_named
from tests.ingest.fakes import EAGER, NOW, MemoryPublisher
from tests.ingest.transports.firehose.stream import Stream
from tests.ingest.transports.kinesis.test_subscriptions import audit_event

CONTROL = "CWL CONTROL MESSAGE: Checking health of destination Firehose."


def envelope(*messages: str, kind: str = "DATA_MESSAGE") -> bytes:
    """What CloudWatch Logs puts into a stream: gzip of a document."""
    at = int(NOW.timestamp() * 1000)
    document = {
        "messageType": kind,
        "owner": "CloudwatchLogs" if kind == "CONTROL_MESSAGE" else "123456789012",
        "logGroup": "" if kind == "CONTROL_MESSAGE" else "/aws/eks/shop/cluster",
        "logStream": "" if kind == "CONTROL_MESSAGE" else "kube-apiserver-audit-1",
        "subscriptionFilters": [] if kind == "CONTROL_MESSAGE" else ["audit"],
        "logEvents": [
            {"id": f"{number:056}", "timestamp": at, "message": each} for number, each in enumerate(messages)
        ],
    }
    return gzip.compress(json.dumps(document).encode(), mtime=0)


async def test_log_events_and_control_messages_become_records_and_no_dead_letter(tmp_path: Path) -> None:
    stream = Stream(tmp_path)
    publisher = MemoryPublisher()
    collector = Collector(
        Identity("shop", "prod", format_named("kubernetes.audit")),
        await stream.open(),
        publisher,
        put_object=lambda namespace, body: f"{namespace}/{len(body)}",
        clock=lambda: NOW,
        backoff=EAGER,
        on_progress=lambda counts: collector.stop() if counts.bodies == 3 else None,
    )
    control = envelope(CONTROL, kind="CONTROL_MESSAGE")
    posted = stream.posting(control, envelope(audit_event(1), audit_event(2)), envelope(audit_event(3)), zipped=True)
    counts = await collector.run()
    assert (await posted).status == 200
    assert (counts.bodies, counts.published, counts.dead_lettered) == (3, 4, 0)
    format_ = format_named("kubernetes.audit")
    actions = [format_.normalise(record)["event"]["action"] for record in publisher.records]
    assert sorted(actions) == ["ControlMessage", "list", "list", "list"]
