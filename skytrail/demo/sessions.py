"""How principals of the company come by temporary credentials, and the events that leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from skytrail.demo.cloudtrail import Call, Caller, Event, Role, Session, Trail, service_caller

Source = Literal["web_identity", "machine", "lambda", "service", "partner"]
_LIFETIME_S = 3600.0


@dataclass(frozen=True, slots=True)
class Workload:
    """A program that calls AWS with a role.

    Attributes:
        source: How it gets its credentials.
        subject: Token subject, instance, function, service host or partner account: what the source needs.
        address: Where its calls come from.
    """

    role: Role
    source: Source
    subject: str
    session: str
    address: str
    agent: str


class Credentials:
    """Credentials of one workload, renewed every hour; each renewal is an event of its own."""

    def __init__(self, trail: Trail, workload: Workload) -> None:
        self._trail = trail
        self._workload = workload
        self._session: Session | None = None
        self._until = 0.0

    def caller(self, at: float, events: list[Event]) -> Caller:
        """Who calls at that second; a renewal that was due is added to `events`."""
        workload = self._workload
        if self._session is None or at >= self._until:
            issued = max(at - 1, 0)
            self._session = Session(
                workload.role,
                workload.session,
                self._trail.ids.key("ASIA"),
                self._trail.clock.seconds(issued),
                delivery="2.0" if workload.source == "machine" else "",
                invoked_by=workload.subject if workload.source == "service" else "",
            )
            self._until = at + _LIFETIME_S
            events.append(issue(self._trail, issued, workload, self._session))
        return Caller(self._session.identity(), workload.role.account, workload.address, workload.agent)


def issue(trail: Trail, at: float, workload: Workload, session: Session) -> Event:
    """The event with which STS issues a session to a workload."""
    if workload.source == "web_identity":
        return trail.event(at, _federated(workload), _assume(trail, at, session, "AssumeRoleWithWebIdentity"))
    if workload.source == "partner":
        identity = {"type": "AWSAccount", "principalId": workload.subject, "accountId": workload.subject[-12:]}
        caller = Caller(identity, workload.role.account, workload.address, workload.agent)
        return trail.event(at, caller, _assume(trail, at, session, "AssumeRole"))
    host = {"machine": "ec2", "lambda": "lambda"}.get(workload.source, workload.subject.partition(".")[0])
    return trail.event(at, service_caller(host, workload.role.account), _assume(trail, at, session, "AssumeRole"))


def _federated(workload: Workload) -> Caller:
    provider = "token.actions.githubusercontent.com"
    if workload.subject.startswith("system:serviceaccount:"):
        provider = "oidc.eks.eu-central-1.amazonaws.com/id/5F0C1B7E92D84A63B1D2"
    number = workload.role.account.number
    identity = {
        "type": "WebIdentityUser",
        "principalId": f"arn:aws:iam::{number}:oidc-provider/{provider}:sts.amazonaws.com:{workload.subject}",
        "userName": workload.subject,
        "identityProvider": f"arn:aws:iam::{number}:oidc-provider/{provider}",
    }
    return Caller(identity, workload.role.account, workload.address, workload.agent)


def _assume(trail: Trail, at: float, session: Session, name: str) -> Call:
    parameters: dict[str, Any] = {
        "roleArn": session.role.arn,
        "roleSessionName": session.name,
        "durationSeconds": int(_LIFETIME_S),
    }
    return Call(
        "sts",
        name,
        parameters=parameters,
        response=issued_credentials(trail, at, session),
        resources=((session.role.arn, "AWS::IAM::Role"),),
    )


def issued_credentials(trail: Trail, at: float, session: Session) -> dict[str, Any]:
    """`responseElements` of a call that issued a session; the secret key is never in it."""
    return {
        "credentials": {
            "accessKeyId": session.key,
            "sessionToken": trail.ids.token(120),
            "expiration": trail.clock.words(at + _LIFETIME_S),
        },
        "assumedRoleUser": {"assumedRoleId": f"{session.role.principal}:{session.name}", "arn": session.arn},
    }
