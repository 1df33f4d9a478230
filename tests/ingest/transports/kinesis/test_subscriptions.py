"""What CloudWatch Logs puts into a stream, and streams of other accounts, on moto."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ingest.collector import Collector, Identity
from ingest.formats.registry import format_named
from tests.ingest.fakes import EAGER, NOW, MemoryPublisher
from tests.ingest.transports.aws.servers import REGION, THEIRS, Aws, arn
from tests.ingest.transports.contract import opened, pull
from tests.ingest.transports.kinesis.source import Source

ROLE = f"arn:aws:iam::{THEIRS}:role/stream-reader"
GROUP = "/aws/eks/shop/cluster"


def audit_event(number: int) -> str:
    return json.dumps(
        {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": "Metadata",
            "auditID": f"00000000-0000-4000-8000-{number:012}",
            "stage": "ResponseComplete",
            "requestURI": "/api/v1/namespaces/shop/pods",
            "verb": "list",
            "user": {"username": "alice"},
            "requestReceivedTimestamp": "2026-11-22T07:59:00.000000Z",
            "stageTimestamp": "2026-11-22T07:59:00.100000Z",
        }
    )


def subscribe(source: Source) -> None:
    logs = source.aws.client("logs")
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="kube-apiserver-audit")
    logs.put_subscription_filter(
        logGroupName=GROUP, filterName="audit", filterPattern="", destinationArn=arn("kinesis", f"stream/{source.name}")
    )


def log(source: Source, *events: str) -> None:
    made = [{"timestamp": int(NOW.timestamp() * 1000) + number, "message": each} for number, each in enumerate(events)]
    source.aws.client("logs").put_log_events(logGroupName=GROUP, logStreamName="kube-apiserver-audit", logEvents=made)


async def test_log_events_of_a_subscription_become_records_of_the_format(
    aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", NOW.timestamp)  # moto refuses log events that are too new for its clock
    source = Source.made(aws, tmp_path)
    subscribe(source)
    log(source, *map(audit_event, range(3)))
    log(source, audit_event(3))
    publisher = MemoryPublisher()
    collector = Collector(
        Identity("shop", "prod", format_named("kubernetes.audit")),
        await source.open(),
        publisher,
        put_object=lambda namespace, body: f"{namespace}/{len(body)}",
        clock=lambda: NOW,
        backoff=EAGER,
        on_progress=lambda counts: collector.stop() if counts.bodies == 2 else None,
    )
    counts = await collector.run()
    assert (counts.bodies, counts.published, counts.dead_lettered) == (2, 4, 0)
    assert publisher.letters == []


async def test_a_stream_of_another_account_is_named_by_its_arn(aws: Aws, tmp_path: Path) -> None:
    taken = aws.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="test")["Credentials"]
    source = Source.made(Aws(aws.endpoint, taken), tmp_path)
    source.settings |= {
        "stream": arn("kinesis", f"stream/{source.name}", THEIRS),
        "role_arn": ROLE,
        "external_id": "a-word-of-sixteen",
    }
    await source.send([b"body"])
    async with opened(source) as (_, iterator):
        (found,) = await pull(iterator, 1)
        await found.acknowledge()
    assert found.body == b"body"
    assert REGION in found.origin.locator
