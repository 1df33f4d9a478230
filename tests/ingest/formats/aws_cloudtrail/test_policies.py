"""Whom a written policy lets in, and what it allows on everything."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats.aws_cloudtrail.policies import policy_of

OWN, OTHER = "111122223333", "444455556666"
ROOT_OF_OTHER = f"arn:aws:iam::{OTHER}:root"
PROVIDER = f"arn:aws:iam::{OWN}:oidc-provider/token.actions.example.com"


def written(request: Any, **event: Any) -> dict[str, list[str]]:
    return policy_of({"recipientAccountId": OWN, "requestParameters": request, **event})


def outsiders(principal: Any, condition: Any = None, **statement: Any) -> list[str]:
    whole = {"Effect": "Allow", "Principal": principal, "Action": "s3:GetObject", "Resource": "*", **statement}
    if condition is not None:
        whole["Condition"] = condition
    return written({"bucketPolicy": {"Statement": [whole]}}).get("outsiders", [])


@pytest.mark.parametrize("principal", ["*", {"AWS": "*"}, {"AWS": [f"arn:aws:iam::{OWN}:root", "*"]}])
def test_everyone_is_an_outsider(principal: Any) -> None:
    assert outsiders(principal) == ["everyone"]


@pytest.mark.parametrize("principal", [ROOT_OF_OTHER, OTHER, f"arn:aws:sts::{OTHER}:assumed-role/app/session"])
def test_another_account_is_an_outsider(principal: str) -> None:
    assert outsiders({"AWS": [f"arn:aws:iam::{OWN}:role/app", principal]}) == [OTHER]


@pytest.mark.parametrize(
    "principal",
    [
        {"AWS": OWN},
        {"AWS": f"arn:aws:iam::{OWN}:root"},
        {"Service": "ec2.amazonaws.com"},
        {"AWS": "AROAEXAMPLE"},
        {},
        None,
        7,
    ],
)
def test_the_own_account_services_and_odd_principals_are_no_outsiders(principal: Any) -> None:
    assert outsiders(principal) == []


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"aws:PrincipalOrgID": "o-abcdef"}},
        {"StringEquals": {"AWS:SourceAccount": OWN}},
        {"ArnLike": {"aws:SourceArn": f"arn:aws:sns:eu-central-1:{OWN}:topic"}},
        {"IpAddress": {"aws:SourceIp": ["203.0.113.0/24"]}},
        {"StringLike": {"aws:PrincipalTag/team": "blue"}},
    ],
)
def test_everyone_who_is_tied_is_no_outsider(condition: Any) -> None:
    assert outsiders("*", condition) == []


@pytest.mark.parametrize(
    "condition",
    [
        {"Bool": {"aws:SecureTransport": "true"}},
        {"StringNotEquals": {"aws:PrincipalOrgID": "o-abcdef"}},
        {"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-abcdef"}},
        {"ForAllValues:StringEquals": {"aws:PrincipalOrgPaths": "o-abcdef/*"}},
        {"Null": {"aws:PrincipalOrgID": "false"}},
        {"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "0.0.0.0/0"]}},
        {"StringEquals": {"sts:ExternalId": "secret"}},
        {"StringEquals": {"aws:SourceAccount": []}},
        "odd",
    ],
)
def test_a_condition_that_ties_nobody_leaves_everyone_in(condition: Any) -> None:
    assert outsiders("*", condition) == ["everyone"]


def test_everyone_tied_to_another_account_is_that_account() -> None:
    assert outsiders("*", {"StringEquals": {"aws:PrincipalAccount": [OWN, OTHER]}}) == [OTHER]


def test_another_account_of_the_organisation_is_no_outsider() -> None:
    assert outsiders({"AWS": OTHER}, {"StringEquals": {"aws:PrincipalOrgID": "o-abcdef"}}) == []
    assert outsiders({"AWS": OTHER}, {"StringEquals": {"sts:ExternalId": "secret"}}) == [OTHER]


def test_a_denied_outsider_is_none() -> None:
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}
    allow = {"Effect": "Allow", "Principal": {"AWS": OWN}, "Action": "s3:*", "Resource": "*"}
    assert written({"bucketPolicy": {"Statement": [deny, allow]}}) == {}


def test_all_but_a_few_are_everyone() -> None:
    statement = {"Effect": "Allow", "NotPrincipal": {"AWS": OWN}, "Action": "s3:*", "Resource": "*"}
    assert written({"bucketPolicy": {"Statement": statement}}) == {"outsiders": ["everyone"]}


@pytest.mark.parametrize(
    ("subject", "found"), [("repo:team/app:*", []), ("repo:*", ["everyone at token.actions.example.com"])]
)
def test_a_provider_of_identities_needs_a_subject(subject: str, found: list[str]) -> None:
    assert outsiders({"Federated": PROVIDER}) == ["everyone at token.actions.example.com"]
    assert outsiders({"Federated": PROVIDER}, {"StringLike": {"token.actions.example.com:sub": subject}}) == found


@pytest.mark.parametrize(
    "name", ["assumeRolePolicyDocument", "policyDocument", "policy", "policyText", "resourcePolicy", "accessPolicies"]
)
def test_policies_are_read_from_texts(name: str) -> None:
    text = json.dumps({"Statement": {"Effect": "Allow", "Principal": {"AWS": ROOT_OF_OTHER}, "Action": "*"}})
    assert written({name: text}) == {"outsiders": [OTHER]}


def test_policies_of_queues_and_topics_are_read() -> None:
    text = json.dumps({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}]})
    assert written({"attributes": {"Policy": text}}) == {"outsiders": ["everyone"]}
    assert written({"attributeName": "Policy", "attributeValue": text}) == {"outsiders": ["everyone"]}
    assert written({"attributeName": "DisplayName", "attributeValue": text}) == {}


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        ({"createVolumePermission": {"add": {"items": [{"userId": OTHER}, {"userId": OWN}]}}}, [OTHER]),
        ({"createVolumePermission": {"remove": {"items": [{"userId": OTHER}]}}}, []),
        ({"launchPermission": {"add": {"items": [{"group": "all"}]}}}, ["everyone"]),
        ({"valuesToAdd": ["all"]}, ["everyone"]),
        ({"valuesToAdd": [OTHER, OWN]}, [OTHER]),
        ({"accountWithRestoreAccess": OTHER}, [OTHER]),
        ({"accountIdsToAdd": ["All"]}, ["everyone"]),
        ({"principal": "*", "functionName": "f"}, ["everyone"]),
        ({"principal": "*", "principalOrgID": "o-abcdef"}, []),
        ({"principal": "s3.amazonaws.com"}, []),
        ({"granteePrincipal": f"arn:aws:iam::{OTHER}:role/app"}, [OTHER]),
    ],
)
def test_what_is_shared_without_a_policy_names_outsiders(request_: Any, found: list[str]) -> None:
    assert written(request_).get("outsiders", []) == found


def powers(*statements: dict[str, Any]) -> list[str]:
    return written({"policyDocument": json.dumps({"Statement": statements})}).get("powers", [])


def test_powers_are_actions_on_every_resource() -> None:
    allow = {"Effect": "Allow", "Action": ["iam:PassRole", "EC2:RunInstances"], "Resource": ["*"]}
    narrow = {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::bucket"}
    deny = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    assert powers(allow, narrow, deny) == ["ec2:runinstances", "iam:passrole"]
    assert powers({"Effect": "Allow", "NotAction": ["organizations:*", "iam:*"], "Resource": "*"}) == [
        "* except iam:*, organizations:*"
    ]


def test_the_policy_of_a_session_gives_nothing() -> None:
    text = json.dumps({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    assert written({"policy": text}, eventSource="sts.amazonaws.com") == {}


@pytest.mark.parametrize(
    "request_",
    [
        None,
        "text",
        [],
        {"policy": "Statement {"},
        {"policy": '{"Statement": 7}'},
        {"bucketPolicy": {"Statement": ["x", None]}},
    ],
)
def test_what_is_no_policy_gives_nothing(request_: Any) -> None:
    assert written(request_) == {}


def test_without_a_known_owner_nobody_is_foreign() -> None:
    request = {"bucketPolicy": {"Statement": {"Effect": "Allow", "Principal": {"AWS": OTHER}}}}
    assert policy_of({"requestParameters": request}) == {}


def test_a_long_list_is_bounded() -> None:
    accounts = [f"{number:012}" for number in range(100_000_000_000, 100_000_000_200)]
    assert len(outsiders({"AWS": accounts})) == 64
    assert written({"policy": json.dumps({"Statement": []}) + " " * 200_000}) == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["*", "Allow", OTHER]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Statement", "Effect", "Principal", "AWS", "Federated", "Condition", "Action", "NotAction", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(value=JSON, name=st.sampled_from(["policy", "bucketPolicy", "principals", "attributes", "launchPermission"]))
def test_no_value_breaks_it(value: Any, name: str) -> None:
    for request in ({name: value}, {name: json.dumps(value)}):
        found = written(request)
        assert all(isinstance(text, str) for texts in found.values() for text in texts)
