"""What an event is about, collected for pivoting: `related.{ip,user,hosts,hash,entity}`.

Responders start from one value (an address, an access key, a role) and ask for every event that has it, whatever role
it played there. So all of them are gathered in these five lists, sorted and unique.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ingest.formats.aws_cloudtrail.values import arn_part
from ingest.parsing.addresses import ip_of

_PIVOTS = """
    accessKeyId arn assumedRoleId bucketName groupId imageId instanceId keyId policyArn roleArn roleName roleSessionName
    secretId serialNumber snapshotId sourceIdentity subnetId trailARN trailName userId volumeId vpcId
"""
_ENTITY_NAMES = frozenset(_PIVOTS.split())
_USER_NAMES = frozenset({"newUserName", "roleSessionName", "sourceIdentity", "userName"})
_TELLING_NAMES = _ENTITY_NAMES | _USER_NAMES
_INSTANCE = re.compile(r"m?i-[0-9a-z]{8,17}")
_ADDRESS = re.compile(r"\[?[0-9A-Fa-f:.]{2,45}(?:\](?::[0-9]{1,5})?)?")
_TELLING_STARTS = frozenset("0123456789abcdefABCDEF:[im")  # of ARNs, instances and addresses


class Related:
    """Sets that grow while an event is mapped."""

    __slots__ = ("entities", "hashes", "hosts", "ips", "users")

    def __init__(self) -> None:
        self.ips: set[str] = set()
        self.users: set[str] = set()
        self.hosts: set[str] = set()
        self.hashes: set[str] = set()
        self.entities: set[str] = set()

    def principal_arn(self, arn: str | None) -> None:
        """Note an ARN that names a principal: itself, and its last part as a name."""
        if arn:
            self.entities.add(arn)
            name = arn_part(arn)
            if name:
                self.users.add(name)

    def names(self, *names: str | None) -> None:
        """Note names of users and roles."""
        for name in names:
            if name:
                self.users.add(name)
                self.entities.add(name)

    def add_entities(self, *entities: str | None) -> None:
        """Note ids and the like; None and empty ones are left out."""
        self.entities.update(filter(None, entities))

    def body(self, body: Mapping[str, Any], *, with_addresses: bool) -> None:
        """Walk a body for ARNs, ids that responders pivot on, user names, instances and (where asked) addresses."""
        rest: list[tuple[str, Any]] = [("", body)]
        while rest:
            above, node = rest.pop()
            for name, item in node.items() if node.__class__ is dict else ((above, item) for item in node):
                kind = item.__class__
                if kind is str:
                    if name in _TELLING_NAMES:
                        self._named(name, item)
                    if item[:1] in _TELLING_STARTS:
                        self._text(item, with_addresses=with_addresses)
                elif kind is dict or kind is list:
                    rest.append((name, item))

    def _named(self, name: str, text: str) -> None:
        if name in _ENTITY_NAMES:
            self.entities.add(text)
        if name in _USER_NAMES:
            self.users.add(text)

    def _text(self, text: str, *, with_addresses: bool) -> None:
        if text.startswith("arn:"):
            self.entities.add(text)
        elif _INSTANCE.fullmatch(text):
            self.hosts.add(text)
            self.entities.add(text)
        elif with_addresses and _ADDRESS.fullmatch(text):
            address = ip_of(text)
            if address:
                self.ips.add(address)

    def document(self) -> dict[str, list[str]]:
        """The non-empty lists under their ECS names."""
        lists = (
            ("ip", self.ips),
            ("user", self.users),
            ("hosts", self.hosts),
            ("hash", self.hashes),
            ("entity", self.entities),
        )
        return {name: sorted(values) for name, values in lists if values}
