"""Rule sets to measure detection with: ours, those of directories given, and synthetic ones up to a number.

Synthetic rules have the shape of public rules for CloudTrail: nearly all name an event source and one to five event
names, some of them an error code, a kind of identity or a part of the request; one in twenty names neither and looks
for a text in the user agent, the request, the error message or the ARN. They are drawn from a seed.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from detectors.proving import OWN_RULES
from detectors.rule import Rule, build_rule
from detectors.sigma.engine import applies
from detectors.sigma.parse import parse
from detectors.sigma.yaml_source import read_documents
from ingest.formats.registry import format_named
from ingest.schema.errors import ConfigError
from skytrail.demo.delivery import CLOUDTRAIL

Document = Mapping[str, Any]

UNANCHORED: Final = 0.05
_VERBS: Final = """
    Create Delete Update Put Modify Attach Detach Disable Enable Start Stop Associate Remove Add Set Reset
""".split()  # noqa: SIM905 - a list of words is read better than one of quoted words
_THINGS: Final = """
    Alias Archive Backup Bucket Budget Certificate Channel Cluster Configuration Connection Connector Container Dataset
    Deployment Destination Detector Device Directory Distribution Domain Endpoint Environment Fleet Folder Function
    Gateway Grant Group Guardrail Image Index Instance Integration Job Key Layer LifecyclePolicy Listener Member Model
    Monitor Network Notebook Permission Pipeline Policy Pool Project Protection Queue Record Repository Role Route Rule
    Schedule Secret Session Snapshot Stack Stream Subnet Subscription Table Target Task Template Token Topic Trail
    Trigger User Vault Version Volume Workflow Workspace
""".split()  # noqa: SIM905 - as above
_SERVICES: Final = """
    access-analyzer acm apigateway appstream athena autoscaling backup bedrock cloudformation cloudfront cloudtrail
    codebuild codepipeline cognito-idp config dms dynamodb ec2 ecr ecs eks elasticache elasticfilesystem
    elasticmapreduce es events firehose glacier glue guardduty iam inspector2 iot kinesis kms lambda lightsail logs
    macie2 mediaconvert monitoring network-firewall organizations ram rds redshift route53 s3 sagemaker secretsmanager
    securityhub ses shield sns sqs ssm sso states storagegateway sts transfer waf wafv2 workspaces xray
""".split()  # noqa: SIM905 - as above
_ERRORS: Final = ("AccessDenied", "Client.UnauthorizedOperation", "ThrottlingException", "NoSuchEntity")
_IDENTITIES: Final = ("Root", "IAMUser", "AssumedRole", "FederatedUser")
_PARAMETERS: Final = ("name", "userName", "roleName", "policyArn", "instanceType", "status", "publiclyAccessible")


def own_documents() -> list[Document]:
    """Our rules for CloudTrail that alert by themselves; those that only serve correlations have no id of their own.

    The latter match up to a third of all events; `skytrail bench detect --role` measures with them and without.
    """
    return [document for document in documents_in([OWN_RULES]) if "id" in document]


def documents_in(paths: Sequence[Path]) -> Iterator[Document]:
    """The rules in directories that see CloudTrail and can be evaluated."""
    source = format_named(CLOUDTRAIL).log_source
    for path in paths:
        for file in sorted(path.rglob("*.yml")):
            for document in read_documents(file.read_text("utf-8"), where=str(file)):
                try:
                    parsed = parse(document, where=str(file))
                except ConfigError:
                    continue  # `skytrail rules lint` tells of those; here only what every engine can run counts
                if applies(parsed.log_source, source):
                    yield document


def synthetic_documents(seed: int) -> Iterator[Document]:
    """Rules without end, the same for the same seed."""
    rng = random.Random(f"rules/{seed}")  # noqa: S311 - reproducible, not secret
    number = 0
    while True:
        number += 1
        yield {
            "title": f"Synthetic rule {number}",
            "id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
            "status": "experimental",
            "level": "medium",
            "logsource": {"product": "aws", "service": "cloudtrail"},
            "detection": _unanchored(rng) if rng.random() < UNANCHORED else _anchored(rng),
        }


def built(documents: Sequence[Document]) -> list[Rule]:
    """The documents as rules for an engine."""
    return [build_rule(parse(document, where="bench.yml"), where="bench.yml") for document in documents]


def event_name(rng: random.Random) -> tuple[str, str]:
    """An event source and the name of a call that changes something there; most do not exist."""
    return f"{rng.choice(_SERVICES)}.amazonaws.com", rng.choice(_VERBS) + rng.choice(_THINGS)


def _anchored(rng: random.Random) -> dict[str, Any]:
    source, name = event_name(rng)
    others = [event_name(rng)[1] for _ in range(rng.choice((0, 0, 0, 1, 2, 4)))]
    selection: dict[str, Any] = {"eventSource": source, "eventName": [name, *others] if others else name}
    kind = rng.random()
    if kind < 0.08:  # noqa: PLR2004 - shares as in public rules
        selection["errorCode"] = rng.choice(_ERRORS)
    elif kind < 0.14:  # noqa: PLR2004 - as above
        selection["userIdentity.type"] = rng.choice(_IDENTITIES)
    elif kind < 0.22:  # noqa: PLR2004 - as above
        selection[f"requestParameters.{rng.choice(_PARAMETERS)}|contains"] = _word(rng)
    elif kind < 0.30:  # noqa: PLR2004 - as above
        return {"selection": selection, "ok": {"errorCode": None}, "condition": "selection and ok"}
    elif kind < 0.35:  # noqa: PLR2004 - as above
        return {
            "selection": selection,
            "filter": {"userAgent|contains": _word(rng)},
            "condition": "selection and not filter",
        }
    return {"selection": selection, "condition": "selection"}


def _unanchored(rng: random.Random) -> dict[str, Any]:
    selections: list[Any] = [
        {"userAgent|contains": [_word(rng), _word(rng)]},
        {"userAgent|startswith": _word(rng)},
        {"errorMessage|contains": f"{_word(rng)} {_word(rng)}"},
        {"userIdentity.arn|endswith": f"/{_word(rng)}"},
        {f"requestParameters.{rng.choice(_PARAMETERS)}|contains": _word(rng)},
        {"requestParameters.policyDocument|re": f'"{_word(rng)}"\\s*:'},
        {"sourceIPAddress|cidr": f"198.18.{rng.randrange(256)}.0/24"},
    ]
    return {"selection": rng.choice(selections), "condition": "selection"}


def _word(rng: random.Random) -> str:
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randrange(5, 11)))
