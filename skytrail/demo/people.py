"""What the company's people do in AWS: sign in with a second factor, change into a role, look, now and then fail."""

from __future__ import annotations

import random
from typing import Any, Final

from skytrail.demo import catalogue as c
from skytrail.demo.clock import hour, office_hours
from skytrail.demo.cloudtrail import CLI, Call, Caller, Event, Role, Session, Trail, console_user, iam_user
from skytrail.demo.company import Company, Person
from skytrail.demo.sessions import issued_credentials

_LOOKS: Final = {
    "Platform": c.mix(
        *c.reads("ec2", "DescribeInstances", "DescribeSecurityGroups", "DescribeVpcs", "DescribeSubnets"),
        *c.reads("eks", "ListClusters", "DescribeCluster", "ListNodegroups"),
        *c.reads("autoscaling", "DescribeAutoScalingGroups"),
        *c.reads("cloudtrail", "LookupEvents", "DescribeTrails"),
        *c.reads("monitoring", "DescribeAlarms", "ListDashboards"),
    ),
    "Developer": c.mix(
        *c.reads("logs", "DescribeLogGroups", "StartQuery", "GetQueryResults", "FilterLogEvents"),
        *c.reads("lambda", "ListFunctions20150331", "GetFunction20150331v2"),
        *c.reads("dynamodb", "ListTables", "DescribeTable"),
        *c.reads("ecr", "DescribeRepositories", "DescribeImages"),
        *c.reads("sqs", "ListQueues", "GetQueueAttributes"),
    ),
    "Analyst": c.mix(
        *c.reads("athena", "ListWorkGroups", "StartQueryExecution", "GetQueryExecution", "GetQueryResults"),
        *c.reads("glue", "GetDatabases", "GetTables", "GetPartitions"),
        (2, c.s3_object("lantern-reports", "daily", "GetObject")),
    ),
    "Finance": c.mix(
        *c.reads("ce", "GetCostAndUsage", "GetDimensionValues", "GetCostForecast"),
        *c.reads("budgets", "DescribeBudgets", "ViewBudget"),
        *c.reads("billing", "GetBillingViewData"),
    ),
}
_DENIED: Final = (
    ("rds", "DescribeDBClusters"),
    ("sqs", "GetQueueAttributes"),
    ("logs", "FilterLogEvents"),
    ("athena", "GetWorkGroup"),
)
_MISTYPED: Final = "Failed authentication"


def duty_role(company: Company, duty: str, trail: Trail) -> Role:
    """The role that people of a duty change into."""
    return Role(company.production, f"Lantern{duty}", trail.ids.principal("AROA"))


def people_at_work(rng: random.Random, company: Company, trail: Trail) -> list[Event]:
    """A working day of everybody; unordered."""
    events: list[Event] = []
    roles = {person.duty: duty_role(company, person.duty, trail) for person in company.people}
    for person in company.people:
        for start in sorted((office_hours(rng) - hour(2), office_hours(rng) + hour(1))):
            events.extend(_console_session(rng, company, trail, person, at=start, role=roles[person.duty]))
        if person.duty in ("Platform", "Developer"):
            events.extend(_terminal(rng, company, trail, person))
    return events


def sign_in(trail: Trail, at: float, company: Company, person: Person, *, success: bool = True) -> Event:
    """A sign-in to the console with a second factor."""
    caller = Caller(iam_user(company.identity, person, None), company.identity, person.address, person.browser)
    call = Call(
        "signin",
        "ConsoleLogin",
        read_only=False,
        response={"ConsoleLogin": "Success" if success else "Failure"},
        additional={
            "LoginTo": "https://console.aws.amazon.com/console/home?hashArgs=%23&isauthcode=true&state=hashArgs",
            "MobileVersion": "No",
            "MFAUsed": "Yes",
        },
        kind="AwsConsoleSignIn",
    )
    event = trail.event(at, caller, call)
    if not success:
        event.record["errorMessage"] = _MISTYPED
    return event


def console_caller(trail: Trail, at: float, company: Company, person: Person) -> Caller:
    """Calls of the console session that began at that second, in the identity account."""
    identity = console_user(company.identity, person, trail.ids.key("ASIA"), trail.clock.seconds(at))
    return Caller(identity, company.identity, person.address, person.browser, console=True)


def switch_role(trail: Trail, at: float, caller: Caller, role: Role, person: Person) -> tuple[Caller, list[Event]]:
    """Change from the identity account into a role: STS's event in both accounts, and the caller afterwards."""
    session = Session(role, person.user, trail.ids.key("ASIA"), trail.clock.seconds(at), mfa=True)
    call = Call(
        "sts",
        "AssumeRole",
        parameters={"roleArn": role.arn, "roleSessionName": person.user},
        response=issued_credentials(trail, at, session),
        resources=((role.arn, "AWS::IAM::Role"),),
    )
    here = trail.event(at, caller, call)
    identity: dict[str, Any] = {
        "type": "AWSAccount",
        "principalId": person.principal,
        "accountId": caller.account.number,
    }
    there = trail.event(at, Caller(identity, role.account, caller.address, caller.agent), call)
    # CloudTrail gives both sides of a cross-account call the same sharedEventID, and an eventID each.
    here.record["sharedEventID"] = there.record["sharedEventID"] = trail.ids.uuid()
    return Caller(session.identity(), role.account, caller.address, caller.agent, console=True), [here, there]


def _console_session(
    rng: random.Random,
    company: Company,
    trail: Trail,
    person: Person,
    *,
    at: float,
    role: Role,
) -> list[Event]:
    """Sign in, change the role, look around for a while."""
    events: list[Event] = []
    if rng.random() < 0.2:  # noqa: PLR2004 - a fifth of the sessions begin with a typing error
        events.append(sign_in(trail, at - 25, company, person, success=False))
    events.append(sign_in(trail, at, company, person))
    caller = console_caller(trail, at, company, person)
    looks_first = ("GetFeaturesInOptInRegion", "ListNotificationHubs")
    events.extend(trail.event(at + 2, caller, Call("notifications", look)) for look in looks_first)
    at += rng.uniform(5, 40)
    working, switched = switch_role(trail, at, caller, role, person)
    events.extend(switched)
    looks = _LOOKS[person.duty]
    for _ in range(rng.randrange(16, 30)):
        at += rng.uniform(0.3, 90)
        make = rng.choices(looks.makes, looks.weights)[0]
        events.append(trail.event(at, working, make(trail.ids, role.account)))
    service, name = rng.choice(_DENIED)
    events.append(trail.event(at + 1, working, _denied(service, name, role, person)))
    return events


def _denied(service: str, name: str, role: Role, person: Person) -> Call:
    who = f"arn:aws:sts::{role.account.number}:assumed-role/{role.name}/{person.user}"
    words = f"User: {who} is not authorized to perform: {service}:{name} because no identity-based policy allows it"
    return Call(service, name, error=("AccessDenied", words))


def _terminal(rng: random.Random, company: Company, trail: Trail, person: Person) -> list[Event]:
    """A few calls with the long-term key from the usual address."""
    events: list[Event] = []
    caller = Caller(
        iam_user(company.identity, person, person.key), company.identity, person.address, f"{CLI}sts.get-session-token"
    )
    at = office_hours(rng)
    for _ in range(rng.randrange(2, 5)):
        at += rng.uniform(60, 2400)
        parameters = {"serialNumber": f"arn:aws:iam::{company.identity.number}:mfa/{person.user}"}
        response = {
            "credentials": {
                "accessKeyId": trail.ids.key("ASIA"),
                "sessionToken": trail.ids.token(120),
                "expiration": trail.clock.words(at + hour(12)),
            }
        }
        call = Call("sts", "GetSessionToken", parameters=parameters, response=response)
        events.append(trail.event(at, caller, call))
    return events
