"""Random rules and random records, drawn so that they often have something to do with each other."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, get_args

from hypothesis import strategies as st

from detectors.rule import Rule
from detectors.sigma.ast import (
    And,
    Boolean,
    Cidr,
    Compare,
    Condition,
    Exists,
    FieldMatch,
    FieldReference,
    Keyword,
    Not,
    Null,
    Number,
    Or,
    Regex,
    Test,
    Text,
    TimePart,
    TimeUnit,
    Wild,
)
from ingest.formats.contract import LogSource
from tests.detectors.sigma.building import rule

WORDS = (
    "StopLogging", "ConsoleLogin", "GetObject", "iam.amazonaws.com", "s3.amazonaws.com", "AccessDenied", "Root",
    "IAMUser", "success", "failure", "Success", "create", "pods", "secrets", "exec", "kinsing", "KINSING",
    "\u212ainsing", "\u017ftop", "10.1.2.3", "::ffff:10.1.2.3", "2026-11-22T03:00:00Z", "true", "403", "1000", "1e3",
    "", "a/b", 'q"uo\\te', "Straße", "\u0130stanbul", "ΑΣ", "instance", "aws-cli/2.1", "system:masters",
    "one\nget object\r\nkinsing", "2024-12-30T23:59:59.999+00:30", "2026-01-01", "1764385200", "1764385200000", "-0.5",
    "10.1.2.3:443", "fe80::1%eth0", "\x00", "Infinity",
)  # fmt: skip
_FIELDS = {
    "aws.cloudtrail": (
        "eventName", "EVENTNAME", "eventSource", "errorCode", "errorMessage", "userAgent", "sourceIPAddress",
        "eventTime", "userIdentity", "userIdentity.type", "userIdentity.arn", "useridentity.USERNAME",
        "userIdentity.sessionContext", "userIdentity.sessionContext.sessionIssuer.type", "requestParameters",
        "requestParameters.name", "requestParameters.items.instanceId", "responseElements.ConsoleLogin", "readOnly",
        "nowhere", "status", "event.action", "event.outcome", "event.category", "event.type", "Event.Outcome",
        "user.name", "source.ip", "skytrail.principal.key", "cloud.account.id", "user_agent.original", "eventName.0",
        "resources.0.ARN",
    ),
    "kubernetes.audit": (
        "verb", "stage", "objectRef.resource", "objectRef.subresource", "objectRef", "resource", "username", "image",
        "user.username", "USER.groups", "user.groups", "responseStatus.code", "responseStatus", "requestURI", "nowhere",
        "requestObject.spec.containers.image", "requestObject.spec.hostPID", "hostPID", "event.action",
        "event.outcome", "user.name", "decision", "annotations.authorization.k8s.io/decision", "kubernetes.audit.verb",
    ),
}  # fmt: skip
_SOURCES = {
    "aws.cloudtrail": LogSource("aws", "cloudtrail"),
    "kubernetes.audit": LogSource("kubernetes", "audit"),
}
_TEMPLATE = rule({"s": {"a": 1}, "condition": "s"})

_word = st.sampled_from(WORDS)
_part = st.one_of(_word, _word.map(lambda w: w[1:-1]), st.sampled_from(Wild)).filter(lambda p: p != "")
_text = st.builds(Text, st.lists(_part, max_size=3).map(tuple), st.booleans())
_exact = st.builds(Text, _word.map(lambda w: (w,)), st.sampled_from([False, False, True]))
_number = st.sampled_from([403, 1000, 1000.0, 0, 1, -0.5, 1e16, 1764385200])
_regex = st.sampled_from(
    [
        Regex("inst.*e"),
        Regex("(?:GET|get)obj", "i"),
        Regex("kinsing", "i"),
        Regex("k[a-z]n"),
        Regex("^aws\\-cli"),
        Regex("n{0,2}ame"),
        Regex("a\\)?(kinsing)?StopLogging"),
        Regex("^get.object$", "im"),
        Regex("^kinsing", "m"),
        Regex("one.get", "s"),
        Regex("one.+KINS", "is"),
        Regex("one.+kins"),
        Regex("\\Akins|ing\\z", "ims"),
        Regex("^$"),
    ]
)
_orders = st.sampled_from(["=", "<", "<=", ">", ">="])
_VALUE_TESTS: st.SearchStrategy[Any] = st.one_of(
    _exact, _exact, _exact, _text, _text, st.builds(Number, _number), st.builds(Boolean, st.booleans()), _regex
)
_OTHER_TESTS: st.SearchStrategy[Any] = st.one_of(
    st.just(Null()),
    st.builds(Exists, st.booleans()),
    st.sampled_from([Cidr("10.0.0.0/8"), Cidr("10.1.2.3/32"), Cidr("::/0"), Cidr("fe80::/10")]),
    st.builds(Compare, _orders, _number),
    st.builds(TimePart, st.sampled_from(get_args(TimeUnit)), _orders, st.sampled_from([0, 1, 3, 11, 22, 47, 2026])),
)


def rules(format_name: str) -> st.SearchStrategy[list[Rule]]:
    """A few random rules for a format."""
    return st.lists(conditions(format_name), min_size=1, max_size=6).map(
        lambda drawn: [
            dataclasses.replace(_TEMPLATE, id=f"r{place}", condition=each, log_source=_SOURCES[format_name])
            for place, each in enumerate(drawn)
        ]
    )


def conditions(format_name: str) -> st.SearchStrategy[Condition]:
    fields = st.sampled_from(_FIELDS[format_name])
    tests: st.SearchStrategy[Test] = st.one_of(
        _VALUE_TESTS,
        _VALUE_TESTS,
        _OTHER_TESTS,
        st.builds(FieldReference, fields, st.booleans(), st.booleans(), st.booleans()),
    )
    leaf: st.SearchStrategy[Any] = st.one_of(
        st.builds(FieldMatch, fields, tests), st.builds(FieldMatch, fields, tests), st.builds(Keyword, _VALUE_TESTS)
    )
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: And(tuple(parts))),
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: Or(tuple(parts))),
            st.builds(Not, inner),
        ),
        max_leaves=6,
    )


_scalar = st.one_of(
    _word, _word, st.sampled_from([None, True, False, 403, 1000, 1000.0, -1, 1e16]), st.text(max_size=4)
)
_value: st.SearchStrategy[Any] = st.recursive(
    _scalar,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["name", "items", "instanceId", "NAME", "a.b"]), inner, max_size=3),
    ),
    max_leaves=5,
)
_odd = st.one_of(_word, _word, _word, _word, _value)


def _maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


def _issuer() -> st.SearchStrategy[Any]:
    return _maybe(type=_word, userName=_word, arn=_word)


_TRAIL = st.fixed_dictionaries(
    {"eventName": _word.filter(bool), "eventSource": _word, "eventTime": st.just("2026-11-22T03:04:05Z")},
    optional={
        "errorCode": _word, "errorMessage": _word, "userAgent": _word, "sourceIPAddress": _word, "awsRegion": _word,
        "userIdentity": _maybe(
            type=_word, arn=_word, userName=_word, principalId=_word, accountId=_word,
            sessionContext=_maybe(sessionIssuer=_issuer(), sourceIdentity=_word),
        ),
        "requestParameters": _value, "responseElements": st.one_of(_value, _maybe(ConsoleLogin=_word)),
        "readOnly": st.booleans(), "resources": st.lists(_maybe(ARN=_word), max_size=2),
    },
)  # fmt: skip
_AUDIT = st.fixed_dictionaries(
    {"auditID": st.just("a-1"), "stage": st.sampled_from(["ResponseComplete", "ResponseComplete", "RequestReceived"]),
     "stageTimestamp": st.just("2026-11-22T03:04:05.000000Z")},
    optional={
        "verb": _word, "requestURI": _word, "userAgent": _word,
        "user": _maybe(username=_word, groups=st.lists(_word, max_size=2)),
        "objectRef": _maybe(resource=_word, subresource=_word, namespace=_word, name=_word),
        "responseStatus": _maybe(code=st.sampled_from([200, 403, 1000]), status=_word),
        "requestObject": st.one_of(
            _value, st.builds(lambda i, h: {"spec": {"containers": [{"image": i}], "hostPID": h}}, _word, st.booleans())
        ),
        "annotations": st.dictionaries(st.sampled_from(["authorization.k8s.io/decision", "x"]), _word, max_size=2),
    },
)  # fmt: skip
_CHANGES = {
    "aws.cloudtrail": (
        "eventName", "eventname", "eventSource", "errorCode", "errorMessage", "eventTime", "userIdentity", "userAgent",
        "status", "event", "insightDetails", "errorcode", "event.outcome", "detail",
    ),
    "kubernetes.audit": (
        "auditID", "verb", "user", "objectRef", "responseStatus", "stage", "stageTimestamp", "event", "resource",
        "image", "log",
    ),
}  # fmt: skip


@st.composite
def records(draw: st.DrawFn, format_name: str) -> bytes:
    """A record, regular more often than not, written in one of the ways that JSON allows."""
    event: dict[str, Any] = dict(draw(_TRAIL if format_name == "aws.cloudtrail" else _AUDIT))
    if draw(st.integers(0, 3)) == 0:
        for name in draw(st.lists(st.sampled_from(_CHANGES[format_name]), max_size=2)):
            if draw(st.booleans()):
                event.pop(name, None)
            else:
                event[name] = draw(_odd)
    text = json.dumps(event, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, None, 1])))
    match draw(st.integers(0, 9)):
        case 0:
            text = text.replace("/", "\\/")
        case 1:
            text = text.replace("i", "\\u0069")
        case 2:
            text = text.replace("1000", "1e3")
        case 3:
            text = text[: draw(st.integers(0, len(text)))]
    return text.encode("utf-8", "surrogatepass")


def presence_rules(format_name: str) -> st.SearchStrategy[list[Rule]]:
    """Rules that ask whether fields are there, alone and beside other tests."""
    asked = st.builds(FieldMatch, st.sampled_from(_FIELDS[format_name]), st.builds(Exists, st.booleans()))
    joined = st.builds(lambda a, b, kind: kind((a, b)), asked, conditions(format_name), st.sampled_from([And, Or]))
    drawn = st.lists(st.one_of(asked, asked.map(Not), joined, joined.map(Not)), min_size=2, max_size=6)
    return drawn.map(
        lambda them: [
            dataclasses.replace(_TEMPLATE, id=f"r{place}", condition=each, log_source=_SOURCES[format_name])
            for place, each in enumerate(them)
        ]
    )


@st.composite
def hollow_records(draw: st.DrawFn, format_name: str) -> bytes:
    """A record of which some fields are there and hold nothing."""
    event: dict[str, Any] = dict(draw(_TRAIL if format_name == "aws.cloudtrail" else _AUDIT))
    for path in draw(st.lists(st.sampled_from(_FIELDS[format_name]), min_size=1, max_size=4)):
        *above, name = path.split(".")
        node: Any = event
        for each in above:
            node = node.setdefault(each, {}) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node[name] = draw(st.sampled_from([None, None, [], [None], {}, [[]]]))
    return json.dumps(event).encode()
