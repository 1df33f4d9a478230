"""Which values of a document are personal: the one table of it. Pure.

Of our own fields it is named which hold people and addresses. Of the vendors' trees it is the last part of a name that
tells, because every service nests its bodies otherwise. What services and nodes are called is nobody's, as for erasure.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from ingest.pseudonyms.tokens import LONGEST, REMEMBERED, address_of
from ingest.schema.principals import NOBODY

_PARTS: Final = ("name", "full_name", "email", "id")
ACTOR_FIELDS: Final = (
    *(f"{user}.{part}" for user in ("user", "client.user") for part in _PARTS),
    "skytrail.principal.key",
    "skytrail.principal.display",
)
"""Who acted; personal where that may be a person."""
PEOPLE_FIELDS: Final = (
    *(f"user.{other}.{part}" for other in ("effective", "target", "changes") for part in _PARTS),
    "related.user",
)
"""Others that an event names."""
ACCOUNT_FIELDS: Final = ("cloud.account.id", "cloud.target.account.id", "cloud.project.id", "organization.id")
"""What is equal to one of these is an organisation, whatever else it is called."""
_ACTOR, _PEOPLE, _ACCOUNTS = (
    tuple(tuple(name.split(".")) for name in names) for names in (ACTOR_FIELDS, PEOPLE_FIELDS, ACCOUNT_FIELDS)
)
USER_NAMES: Final = frozenset(
    {
        "username",
        "userid",
        "userprincipalname",
        "userdisplayname",
        "useremail",
        "useremailaddress",
        "principalid",
        "principalname",
        "principalemail",
        "principalsubject",
        "email",
        "emailaddress",
        "mail",
        "upn",
        "loginname",
        "signinname",
        "signinidentifier",
        "alternatesigninname",
        "samaccountname",
        "onpremisesuserprincipalname",
        "onpremisessamaccountname",
        "rolesessionname",
        "sourceidentity",
        "createdby",
        "modifiedby",
        "lastmodifiedby",
    }
)
"""Last parts of vendors' names that hold people; lower case, without `_` and `-`."""
_ADDRESS_ENDS: Final = ("ip", "ips", "ipaddress", "ipaddresses", "addr", "address", "addresses")
_WITH_PORT: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):[0-9]{1,5}")
_NO_PERSON: Final = re.compile(
    r"system:.*|.*\.gserviceaccount\.com|.*\.amazonaws\.com(?:\.cn)?|HIDDEN_DUE_TO_SECURITY_REASONS", re.DOTALL
)
_KEPT_WHOLE: Final = frozenset({"@timestamp", "ecs", "data_stream", "observer", "rule", "threat", "tags", "labels"})
_TOLD_BY_FIELDS: Final = _KEPT_WHOLE | {"event", "skytrail", "user", "cloud", "log", "user_agent", "tls", "network"}
"""Parts of which the fields above say everything."""
_READ: Final[Mapping[str, frozenset[str]]] = {
    "event": frozenset({"reason", "url", "reference"}),
    "skytrail": frozenset({"principal", "session", "policy", "alert"}),
}


KEPT_PATHS: Final = tuple(
    tuple(path.split("."))
    for path in (
        "skytrail.principal.type",
        "cloud.provider",
        "cloud.region",
        "cloud.service.name",
        "cloud.account.id",
        "cloud.project.id",
        "orchestrator.type",
        "orchestrator.namespace",
        "orchestrator.api_version",
        "orchestrator.resource.type",
        "http.request.method",
        "network.transport",
    )
)
"""Words of a standard or a provider: they stay, also where somebody calls himself so to hide from a search."""


def is_read(top: str, name: str) -> bool:
    """Whether a part of a document is looked at; others hold words of a standard, or of the pipeline alone."""
    parts = _READ.get(top)
    return top not in _KEPT_WHOLE if parts is None else name in parts


def is_no_person(value: str) -> bool:
    """Whether a name is that of a service or of a part of a system, wherever it stands."""
    return len(value) <= LONGEST and _is_no_person(value)


@functools.lru_cache(maxsize=REMEMBERED)
def _is_no_person(value: str) -> bool:
    return _NO_PERSON.fullmatch(value) is not None


def personal_values(document: dict[str, Any], *trees: dict[str, Any]) -> set[str]:
    """The names, e-mail addresses and addresses of people that stand in a document, and in further trees about it.

    Exact types are asked for, because this is done for every document: they are as `json.loads` makes them.
    """
    actor = set(_strings_at(document, _ACTOR))
    kept = set(_strings_at(document, _ACCOUNTS))
    principal = document.get("skytrail", {}).get("principal", {})
    if isinstance(principal, dict) and principal.get("type") in NOBODY:
        kept |= actor
    found = actor | set(_strings_at(document, _PEOPLE))
    _collect({name: part for name, part in document.items() if name not in _TOLD_BY_FIELDS}, found)
    for tree in trees:
        _collect(tree, found)
    return {value for value in found if value not in kept and not is_no_person(value) and not _is_nowhere(value)}


def _is_nowhere(value: str) -> bool:
    """Whether it is empty, or an address that is nobody's: this host, none, all."""
    address = address_of(value)
    if address is None:
        return not value.strip()
    return address.is_loopback or address.is_unspecified or address.is_multicast


def _named(name: str) -> Literal["user", "address", ""]:
    """What a name of a field says of its values."""
    return _named_short(name) if len(name) <= LONGEST else ""


@functools.lru_cache(maxsize=REMEMBERED)
def _named_short(name: str) -> Literal["user", "address", ""]:
    last = name.rpartition(".")[2].replace("_", "").replace("-", "").lower()
    if last in USER_NAMES:
        return "user"
    return "address" if last.endswith(_ADDRESS_ENDS) else ""


def _collect(node: dict[str, Any], found: set[str]) -> None:
    """Add what stands under names that tell of people or addresses."""
    for name, value in node.items():
        kind = type(value)
        if kind is dict:
            _collect(value, found)
        elif kind is str:
            if named := _named(name):
                _add(value, named, found)
        elif kind is list:
            _collect_list(value, _named(name), found)


def _collect_list(node: list[Any], named: str, found: set[str]) -> None:
    for value in node:
        if type(value) is dict:
            _collect(value, found)
        elif type(value) is list:
            _collect_list(value, named, found)
        elif type(value) is str and named:
            _add(value, named, found)


def _add(value: str, named: str, found: set[str]) -> None:
    if named == "user":
        found.add(value)
    elif (bare := _without_port(value)) is not None:
        found.add(bare)


def _without_port(text: str) -> str | None:
    if address_of(text) is not None:
        return text
    match = _WITH_PORT.fullmatch(text)
    bare = (match[1] or match[2]) if match else ""
    return bare if address_of(bare) is not None else None


def _strings_at(document: dict[str, Any], paths: tuple[tuple[str, ...], ...]) -> Iterator[str]:
    for path in paths:
        node: Any = document
        for part in path:
            node = node.get(part) if type(node) is dict else None
        if type(node) is str:
            yield node
        elif type(node) is list:
            yield from (value for value in node if type(value) is str)
