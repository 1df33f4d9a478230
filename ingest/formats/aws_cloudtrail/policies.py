"""What a policy or permission that a call writes gives away: to whom outside the account, and rights on everything.

The statements of a policy have to be read together with their effect, principal and condition; a rule that searches
their text can't. So they are read here, once, into `skytrail.policy.outsiders` and `skytrail.policy.powers`.
Permissions that are given without a policy (shared snapshots and images, functions, keys) name their outsiders in the
same field.

A condition that ties everyone to an account, organisation, network or resource takes them out of `outsiders`; whether
the condition's values suit the owner is not judged, but for account ids and ARNs, whose owners are known. A policy that
can't be read gives nothing: its text is in the document all the same.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from ingest.formats.aws_cloudtrail.values import account_of, arn_account, mapping_of, optional_text
from ingest.parsing.json_value import json_text

EVERYONE: Final = "everyone"

_DOCUMENTS = (
    "policyDocument",
    "assumeRolePolicyDocument",
    "policy",
    "policyText",
    "bucketPolicy",
    "resourcePolicy",
    "accessPolicies",
    "policyInJson",
    "inlinePolicy",
)
_GRANTEES = (
    ("principal",),
    ("principals",),
    ("granteePrincipal",),
    ("valuesToAdd",),
    ("accountIdsToAdd",),
    ("accountWithRestoreAccess",),
    ("aWSAccountIds",),
    ("aWSAccountId",),
    ("createVolumePermission", "add", "items", "userId"),
    ("createVolumePermission", "add", "items", "group"),
    ("launchPermission", "add", "items", "userId"),
    ("launchPermission", "add", "items", "group"),
    ("ModifyVpcEndpointServicePermissionsRequest", "AddAllowedPrincipals", "content"),
)
"""Where calls that share something name with whom. What is neither an account nor everyone is no outsider."""

_EVERYONES = frozenset({"*", "all"})
_TIED_BY = ("principalOrgID", "sourceAccount", "organizationId")  # beside a grantee, as a condition in a policy
_ATTRIBUTE = "Policy"  # of queues and topics
_SCOPED_DOWN = "sts.amazonaws.com"  # policies of sessions take rights away, they give none
_LONGEST: Final = 131_072  # characters; AWS allows 32 KB at most
_MOST: Final = 64  # values of a field
_LONGEST_VALUE: Final = 256  # characters
_ACCOUNT_DIGITS: Final = 12

_TYING_NAMES = """
    aws:principalaccount aws:principalarn aws:principalorgid aws:principalorgpaths aws:sourceaccount aws:sourcearn
    aws:sourceip aws:sourceorgid aws:sourceorgpaths aws:sourceowner aws:sourcevpc aws:sourcevpce aws:userid
    aws:vpceaccount aws:vpceorgid aws:vpcsourceip elasticfilesystem:accessedviamounttarget kms:calleraccount
    s3:dataaccesspointaccount s3:dataaccesspointarn
"""
_TYING = frozenset(_TYING_NAMES.split())
_DEMANDS_NOTHING = ("Null", "ForAllValues:")
_OF_ORGANISATION = frozenset({"aws:principalorgid", "aws:principalorgpaths"})
_TIES_NOBODY = frozenset({"*", "0.0.0.0/0", "::/0", "arn:aws:*", "repo:*"})
_SUBJECT = ":sub"  # names the one whom a provider of identities vouches for
_PROVIDER = ":oidc-provider/"


def policy_of(event: Mapping[str, Any]) -> dict[str, list[str]]:
    """`skytrail.policy` of a pruned event; empty when it writes no policy or one that gives nothing away."""
    request = event.get("requestParameters")
    if request.__class__ is not dict or event.get("eventSource") == _SCOPED_DOWN:
        return {}
    own = account_of(event.get("recipientAccountId"))
    own = own or account_of(mapping_of(event.get("userIdentity")).get("accountId"))
    outsiders: dict[str, None] = {}
    powers: dict[str, None] = {}
    outsiders.update(dict.fromkeys(_granted(request, own)))
    for statement in _allowed(request):
        outsiders.update(dict.fromkeys(_outsiders(statement, own)))
        powers.update(dict.fromkeys(_powers(statement)))
    found = {"outsiders": _bounded(outsiders), "powers": _bounded(powers)}
    return {name: values for name, values in found.items() if values}


def _bounded(values: Mapping[str, None]) -> list[str]:
    return [value[:_LONGEST_VALUE] for value in islice(sorted(values), _MOST)]


def _allowed(request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The statements with effect Allow of every policy that a request carries."""
    for document in _documents(request):
        for statement in _listed(document.get("Statement")):
            if statement.__class__ is dict and statement.get("Effect") == "Allow":
                yield statement


def _documents(request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    found = [request[name] for name in _DOCUMENTS if name in request]
    found.append(mapping_of(request.get("attributes")).get(_ATTRIBUTE))
    if request.get("attributeName") == _ATTRIBUTE:
        found.append(request.get("attributeValue"))
    for value in found:
        if value.__class__ is dict:
            yield value
        elif value.__class__ is str and "Statement" in value and len(value) <= _LONGEST:
            yield mapping_of(json_text(value))


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _texts(value: Any) -> list[str]:
    return [text for item in _listed(value) if (text := optional_text(item))]


def _powers(statement: Mapping[str, Any]) -> Iterator[str]:
    """Actions on every resource, in lower case; only of policies that speak of their owner's own rights."""
    if "Principal" in statement or "NotPrincipal" in statement or "*" not in _texts(statement.get("Resource")):
        return
    if "NotAction" in statement:
        yield f"* except {', '.join(sorted(map(str.lower, _texts(statement['NotAction']))))}"
    yield from map(str.lower, _texts(statement.get("Action")))


def _granted(request: Mapping[str, Any], own: str | None) -> Iterator[str]:
    """The outsiders among those with whom a call shares something without a policy."""
    for path in _GRANTEES:
        if path[0] not in request:
            continue
        for value in _at(request, path):
            if value.lower() in _EVERYONES:
                if not any(request.get(name) for name in _TIED_BY):
                    yield EVERYONE
            else:
                yield from _foreign(value, own)


def _at(value: Any, path: tuple[str, ...]) -> Iterator[str]:
    """The texts at a path; lists on the way mean each of their elements."""
    for item in _listed(value):
        if not path:
            yield from _texts(item)
        elif item.__class__ is dict:
            yield from _at(item.get(path[0]), path[1:])


def _outsiders(statement: Mapping[str, Any], own: str | None) -> Iterator[str]:
    """Account ids other than the owner's, `everyone`, and `everyone at` a provider of identities."""
    if "NotPrincipal" in statement:
        yield EVERYONE
    principal = statement.get("Principal")
    named = mapping_of(principal)
    ties = dict(_ties(statement.get("Condition")))
    for value in _texts(principal if principal.__class__ is str else named.get("AWS")):
        if value == "*":
            yield from _tied(ties, own) if ties else (EVERYONE,)
        elif not ties.keys() & _OF_ORGANISATION:
            yield from _foreign(value, own)
    for provider in _texts(named.get("Federated")):
        if _PROVIDER in provider and not any(key.endswith(_SUBJECT) for key in ties):
            yield f"{EVERYONE} at {provider.partition(_PROVIDER)[2]}"


def _tied(ties: Mapping[str, list[str]], own: str | None) -> Iterator[str]:
    """The foreign accounts that a condition on accounts or ARNs lets in."""
    if ties.keys() & _OF_ORGANISATION:
        return
    for values in ties.values():
        for value in values:
            yield from _foreign(value, own)


def _ties(condition: Any) -> Iterator[tuple[str, list[str]]]:
    """Keys, in lower case, that a condition demands to have one of a few values, with these."""
    for operator, tests in mapping_of(condition).items():
        if "Not" in operator or operator.endswith("IfExists") or operator.startswith(_DEMANDS_NOTHING):
            continue  # holds also for those who do not have the key
        for name, value in mapping_of(tests).items():
            key, values = name.lower(), _texts(value)
            tying = key in _TYING or key.endswith(_SUBJECT) or key.startswith("aws:principaltag/")
            if tying and values and _TIES_NOBODY.isdisjoint(values):
                yield key, values


def _foreign(value: str, own: str | None) -> Iterator[str]:
    """The account of a principal or of a condition's value, when it is known to be another than the owner's."""
    account = value if len(value) == _ACCOUNT_DIGITS and value.isdigit() else arn_account(value)
    if account and own and account != own:
        yield account
