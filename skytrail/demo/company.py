"""The small company whose day the demo shows: people, accounts, services, a cluster. Nothing of it exists.

Addresses come from the documentation ranges of RFC 5737 and RFC 1918, account numbers from AWS's own examples.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from skytrail.demo.identifiers import Identifiers

REGION = "eu-central-1"
GLOBAL_REGION = "us-east-1"
"""Where IAM and the sign-in service record their events."""


@dataclass(frozen=True, slots=True)
class Account:
    """An AWS account."""

    number: str
    name: str


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who signs in as an IAM user of the identity account and changes into roles elsewhere.

    Attributes:
        duty: Name of the role this person works with.
        address: Public address the person works from.
        key: Long-term access key, used from a terminal.
    """

    user: str
    duty: str
    address: str
    principal: str
    key: str
    browser: str


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the company that runs in the cluster under its own IAM role."""

    name: str
    namespace: str
    principal: str
    bucket: str
    table: str
    secret: str


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster."""

    name: str
    instance: str
    address: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """The Kubernetes cluster."""

    name: str
    node_role: str
    node_principal: str
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Company:
    """Everything the generated day refers to.

    Attributes:
        identity: Account with the IAM users and the company's trails.
        production: Account in which everything runs.
        archive: Account that keeps the log bucket.
        egress: Public addresses of the production network.
    """

    identity: Account
    production: Account
    archive: Account
    people: tuple[Person, ...]
    services: tuple[Service, ...]
    cluster: Cluster
    egress: tuple[str, ...]
    trail: str
    log_bucket: str

    @property
    def accounts(self) -> tuple[Account, ...]:
        """The three accounts."""
        return (self.identity, self.production, self.archive)

    def person(self, user: str) -> Person:
        """The person with this user name.

        Raises:
            KeyError: Nobody has it.
        """
        for person in self.people:
            if person.user == user:
                return person
        raise KeyError(user)


_STAFF = (
    ("mira.halvorsen", "Platform", "198.51.100.24"),
    ("jonas.okafor", "Platform", "198.51.100.24"),
    ("lena.brandt", "Developer", "198.51.100.24"),
    ("tomas.rivera", "Developer", "198.51.100.87"),
    ("aiko.marsh", "Developer", "198.51.100.24"),
    ("samir.dahl", "Developer", "198.51.100.133"),
    ("nora.vidal", "Analyst", "198.51.100.24"),
    ("erik.lund", "Analyst", "198.51.100.201"),
    ("paula.stein", "Finance", "198.51.100.24"),
    ("viktor.ames", "Platform", "198.51.100.160"),
)
_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
_BROWSERS = (
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_WEBKIT}",
    "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT}",
)
_SERVICES = (
    ("shop-api", "shop"),
    ("orders-worker", "shop"),
    ("tracking", "logistics"),
    ("invoices", "billing"),
)


def found(rng: random.Random) -> Company:
    """The company; the same for the same state of `rng`."""
    ids = Identifiers(rng)
    return Company(
        identity=Account("444455556666", "lantern-identity"),
        production=Account("777788889999", "lantern-production"),
        archive=Account("222233334444", "lantern-logs"),
        people=tuple(
            Person(user, duty, address, ids.principal("AIDA"), ids.key("AKIA"), rng.choice(_BROWSERS))
            for user, duty, address in _STAFF
        ),
        services=tuple(
            Service(
                name=name,
                namespace=namespace,
                principal=ids.principal("AROA"),
                bucket=f"lantern-{name}-{REGION}",
                table=f"{name}-state",
                secret=f"production/{name}/database",
            )
            for name, namespace in _SERVICES
        ),
        cluster=Cluster("lantern-eks", "lantern-eks-node", ids.principal("AROA"), _nodes(ids)),
        egress=("203.0.113.17", "203.0.113.41"),
        trail="lantern-organisation",
        log_bucket="lantern-cloudtrail-archive",
    )


def _nodes(ids: Identifiers) -> tuple[Node, ...]:
    addresses = ("10.20.11.37", "10.20.24.90", "10.20.38.145")
    return tuple(
        Node(f"ip-{address.replace('.', '-')}.{REGION}.compute.internal", ids.resource("i"), address)
        for address in addresses
    )
