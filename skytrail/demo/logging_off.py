"""An administrator who is about to leave signs in from home and switches off, one by one, what would record the rest.

The trail, the events it selects, the flow logs, the threat detection, the configuration recorder, the policy of the log
bucket; then backups are deleted.
"""

from __future__ import annotations

import random
from typing import Any, Final

from skytrail.demo.clock import hour
from skytrail.demo.cloudtrail import Call, Event, Role, Trail
from skytrail.demo.company import REGION, Company
from skytrail.demo.people import console_caller, sign_in, switch_role
from skytrail.demo.story import Story

INSIDER: Final = "viktor.ames"


def story(rng: random.Random, company: Company, trail: Trail) -> Story:
    """The events of the insider, half an hour from a quarter to six in the evening."""
    insider = company.person(INSIDER)
    at = hour(17, 46, 19)
    events: list[Event] = [sign_in(trail, at, company, insider)]
    caller = console_caller(trail, at, company, insider)
    for call in _blinding_the_trail(company):
        at += rng.uniform(15, 80)
        events.append(trail.event(at, caller, call))
    for account, name, calls in (
        (company.production, "LanternPlatform", _blinding_the_rest(company, trail)),
        (company.archive, "LanternLogAdmin", _opening_the_bucket(company)),
    ):
        at += rng.uniform(15, 60)
        role = Role(account, name, trail.ids.principal("AROA"))
        working, switched = switch_role(trail, at, caller, role, insider)
        events.extend(switched)
        for call in calls:
            at += rng.uniform(15, 90)
            events.append(trail.event(at, working, call))
    return Story(
        name="logging-off",
        title="A leaving administrator switches off trail, flow logs and threat detection and opens the log bucket",
        principals=(INSIDER,),
        cloudtrail=tuple(events),
    )


def _changes(service: str, name: str, parameters: dict[str, Any], response: dict[str, Any] | None = None) -> Call:
    return Call(service, name, read_only=False, parameters=parameters, response=response)


def _blinding_the_trail(company: Company) -> list[Call]:
    arn = f"arn:aws:cloudtrail:{REGION}:{company.identity.number}:trail/{company.trail}"
    narrowed = [
        {
            "readWriteType": "ReadOnly",
            "includeManagementEvents": False,
            "dataResources": [],
            "excludeManagementEventSources": ["kms.amazonaws.com", "rdsdata.amazonaws.com"],
        }
    ]
    return [
        Call("cloudtrail", "DescribeTrails", parameters={"trailNameList": []}),
        Call("cloudtrail", "GetTrailStatus", parameters={"name": arn}),
        _changes(
            "cloudtrail",
            "PutEventSelectors",
            {"trailName": arn, "eventSelectors": narrowed},
            {"trailARN": arn, "eventSelectors": narrowed},
        ),
        _changes("cloudtrail", "StopLogging", {"name": arn}),
    ]


def _blinding_the_rest(company: Company, trail: Trail) -> list[Call]:
    detector = trail.ids.hexadecimal(32)
    flow_log, request = trail.ids.resource("fl"), trail.ids.uuid()
    return [
        Call("guardduty", "ListDetectors", parameters={}),
        _changes("guardduty", "UpdateDetector", {"detectorId": detector, "enable": False}),
        _changes(
            "ec2",
            "DeleteFlowLogs",
            {"DeleteFlowLogsRequest": {"FlowLogId": {"tag": 1, "content": flow_log}}},
            {
                "DeleteFlowLogsResponse": {
                    "xmlns": "http://ec2.amazonaws.com/doc/2016-11-15/",
                    "unsuccessful": "",
                    "requestId": request,
                }
            },
        ),
        _changes("config", "StopConfigurationRecorder", {"configurationRecorderName": "default"}),
        _changes("logs", "DeleteLogGroup", {"logGroupName": f"/aws/eks/{company.cluster.name}/cluster"}),
        _changes(
            "ec2", "DeleteSnapshot", {"snapshotId": trail.ids.resource("snap"), "force": False}, {"_return": True}
        ),
    ]


def _opening_the_bucket(company: Company) -> list[Call]:
    bucket = company.log_bucket
    host = f"{bucket}.s3.{REGION}.amazonaws.com"
    lifecycle = {
        "Rule": {"ID": "cost", "Status": "Enabled", "Expiration": {"Days": 1}, "Filter": {"Prefix": "AWSLogs/"}},
        "xmlns": "http://s3.amazonaws.com/doc/2006-03-01/",
    }
    named = {"bucketName": bucket, "Host": host}
    return [
        _changes("s3", "DeleteBucketPolicy", {**named, "policy": ""}),
        _changes("s3", "PutBucketVersioning", {**named, "VersioningConfiguration": {"Status": "Suspended"}}),
        _changes("s3", "PutBucketLifecycle", {**named, "LifecycleConfiguration": lifecycle}),
    ]
