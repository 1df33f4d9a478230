"""Who may send to a queue, as its policy says. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

SERVICES = {"s3.amazonaws.com": "S3", "sns.amazonaws.com": "SNS", "events.amazonaws.com": "EventBridge"}
_ACTIONS = ("*", "sqs:*", "sqs:send*", "sqs:sendmessage")
_COMPARISONS = ("arnequals", "arnlike", "stringequals", "stringlike")
_BOUNDS = ("aws:sourcearn", "aws:sourceaccount", "aws:sourceorgid", "aws:principalorgid")


@dataclass(frozen=True, slots=True)
class Sender:
    """One statement that lets somebody send.

    Attributes:
        who: A service (`s3.amazonaws.com`), an ARN, or `*`.
        sources: ARNs, perhaps with wildcards, of which it must come; empty: the statement does not ask.
        bounded: It asks for a source, an account or an organisation.
    """

    who: str
    sources: tuple[str, ...]
    bounded: bool

    def lets(self, service: str, source: str) -> bool:
        """Whether it lets a service send for a source, e.g. S3 for a bucket's ARN."""
        return self.who in ("*", service) and (
            not self.sources or any(fnmatchcase(source, pattern) for pattern in self.sources)
        )


def senders(policy: str) -> list[Sender]:
    """Those that a policy lets send; a policy that can't be read lets nobody."""
    try:
        document = json.loads(policy or "{}")
    except ValueError:
        return []
    return [sender for statement in _listed(document.get("Statement")) for sender in _of(statement)]


def named(found: list[Sender], service: str) -> list[str]:
    """ARNs without wildcards for which senders let a service send: names of buckets of `arn:aws:s3:::name`."""
    sources = [source for each in found if each.who in ("*", service) for source in each.sources]
    part = f":{service.partition('.')[0]}:"
    return sorted({source for source in sources if part in source and not {"*", "?"} & set(source)})


def _of(statement: Mapping[str, Any]) -> Iterator[Sender]:
    actions = [str(action).lower() for action in _listed(statement.get("Action"))]
    if statement.get("Effect") != "Allow" or not any(action in _ACTIONS for action in actions):
        return
    conditions = [
        (str(key).lower(), _listed(values))
        for comparison, pairs in (statement.get("Condition") or {}).items()
        if str(comparison).lower().rpartition(":")[2].removesuffix("ifexists") in _COMPARISONS
        for key, values in pairs.items()
    ]
    sources = tuple(str(value) for key, values in conditions if key == "aws:sourcearn" for value in values)
    bounded = any(key in _BOUNDS for key, _ in conditions)
    principal = statement.get("Principal")
    kinds = principal.values() if isinstance(principal, Mapping) else [principal]
    for who in (str(each) for kind in kinds for each in _listed(kind)):
        yield Sender(who, sources, bounded)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
