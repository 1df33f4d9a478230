"""How the events of the day arrive: log files as AWS lays them in a bucket, an export by hand, webhook batches.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html
"""

from __future__ import annotations

import gzip
import random
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final

import orjson

from skytrail.demo.audit import AuditEvent
from skytrail.demo.clock import DAY_S
from skytrail.demo.cloudtrail import Call, Event, Trail, service_caller
from skytrail.demo.company import REGION, Company
from skytrail.demo.story import Story

CLOUDTRAIL: Final = "aws.cloudtrail"
AUDIT: Final = "kubernetes.audit"
BATCH_EVENTS: Final = 400
"""Most events that an API server puts into one request."""
_FILE_S: Final = {REGION: 900.0}
_RARE_FILE_S: Final = 7200.0
_GZIP_LEVEL: Final = 5


@dataclass(frozen=True, slots=True)
class DemoFile:
    """Bytes of one delivery.

    Attributes:
        name: Path in the bucket, or a name for a webhook body; unique, with `/` between folders.
        format: Format to read it with.
        body: The exact bytes.
    """

    name: str
    format: str
    body: bytes


def trail_files(
    rng: random.Random, trail: Trail, benign: list[Event], stories: tuple[Story, ...], repeats: int
) -> tuple[list[DemoFile], int]:
    """CloudTrail's log files, and the number of records in them that are there a second time.

    Files hold the events of one account, region and quarter of an hour, in the order of arrival, which is not quite
    that of time. Repeated records come in the next file of their account and region.
    """
    groups: dict[tuple[str, str, int], list[Event]] = defaultdict(list)
    for event in (*benign, *(event for story in stories for event in story.cloudtrail)):
        groups[_slot(event)].append(event)
    last = {key[:2]: max(k[2] for k in groups if k[:2] == key[:2]) for key in groups}
    early = [event for event in benign if _slot(event)[2] < last[event.account, event.region]]
    for event in rng.sample(early, repeats):
        account, region, slot = _slot(event)
        later = min(k[2] for k in groups if k[:2] == (account, region) and k[2] > slot)
        groups[account, region, later].append(event)
    files = []
    for key in sorted(groups, key=lambda k: (_delivered(k), k)):
        events = sorted(groups[key], key=lambda e: e.at + rng.uniform(0, 45))
        files.append(_log_file(trail, key, events))
    return files, repeats


def _slot(event: Event) -> tuple[str, str, int]:
    return event.account, event.region, int(event.at // _FILE_S.get(event.region, _RARE_FILE_S))


def _delivered(key: tuple[str, str, int]) -> float:
    _, region, slot = key
    return min((slot + 1) * _FILE_S.get(region, _RARE_FILE_S), DAY_S)


def _log_file(trail: Trail, key: tuple[str, str, int], events: list[Event]) -> DemoFile:
    account, region, _ = key
    moment = trail.clock.at(_delivered(key))
    folder = f"AWSLogs/{account}/CloudTrail/{region}/{moment:%Y/%m/%d}"
    name = f"{account}_CloudTrail_{region}_{moment:%Y%m%dT%H%MZ}_{trail.ids.token(16)}.json.gz"
    body = orjson.dumps({"Records": [event.record for event in events]})
    return DemoFile(f"{folder}/{name}", CLOUDTRAIL, gzip.compress(body, _GZIP_LEVEL, mtime=0))


def audit_batches(
    rng: random.Random, benign: list[AuditEvent], stories: tuple[Story, ...], repeats: int
) -> tuple[list[DemoFile], int]:
    """Webhook bodies of at most 400 events, and the number of events in them that are there a second time.

    The repeated ones come as one small body at the end, as after an answer that the API server did not see in time.
    """
    events = sorted((*benign, *(event for story in stories for event in story.audit)), key=lambda event: event.at)
    bodies = [events[start : start + BATCH_EVENTS] for start in range(0, len(events), BATCH_EVENTS)]
    for body in bodies:
        rng.shuffle(body)  # the API server keeps no order inside a batch
    again = rng.sample(benign, repeats)
    bodies.extend(again[start : start + BATCH_EVENTS] for start in range(0, len(again), BATCH_EVENTS))
    return [_batch(number, body) for number, body in enumerate(bodies)], repeats


def _batch(number: int, events: list[AuditEvent]) -> DemoFile:
    listed: dict[str, Any] = {
        "kind": "EventList",
        "apiVersion": "audit.k8s.io/v1",
        "metadata": {},
        "items": [event.record for event in events],
    }
    return DemoFile(f"kubernetes/batch-{number:04d}.json", AUDIT, orjson.dumps(listed) + b"\n")


def export_file(company: Company, trail: Trail) -> tuple[DemoFile, int, int]:
    """A file that someone exported by hand and damaged: events line by line, good ones and broken ones.

    Returns:
        The file, and how many of its records are good and how many broken.
    """
    caller = service_caller("cloudtrail", company.archive)
    look = Call("s3", "GetBucketAcl", parameters={"bucketName": company.log_bucket, "acl": ""})
    good = [orjson.dumps(trail.event(DAY_S - 1800 + n * 60, caller, look).record) for n in range(12)]
    untimed = trail.event(DAY_S - 900, caller, look).record
    del untimed["eventTime"]
    impossible = {**trail.event(DAY_S - 840, caller, look).record, "eventTime": "2026-02-31T25:61:00Z"}
    broken = [
        b'{"eventVersion":"1.11","userIdentity":{"type":"AWSService","invokedBy":"cloudtr',
        b"-- 3 lines removed by the mail gateway --",
        b'{"note":"exported for the review of last week"}',
        orjson.dumps(untimed),
        orjson.dumps(impossible),
    ]
    lines = [*good[:5], *broken[:2], *good[5:9], *broken[2:], *good[9:]]
    body = b"\n".join(lines) + b"\n"
    return DemoFile("exports/cloudtrail-review.ndjson", CLOUDTRAIL, body), len(good), len(broken)
