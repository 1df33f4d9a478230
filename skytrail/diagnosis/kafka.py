"""Checks of Kafka."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from ingest.formats.registry import all_formats
from ingest.schema.errors import BrokerUnavailable
from ingest.settings import KafkaSettings
from skytrail.diagnosis.check import Check, failed, guarded
from streams.brokers import BrokerFacts, brokers, knock, workers
from streams.status import ROLES, Status, read_status
from streams.topic_admin import TopicState, ensure_topics
from streams.topics import all_topics

REQUEST_OVERHEAD = 64 * 1024  # bytes around the messages of a produce request


async def check_kafka(kafka: KafkaSettings, pause: Callable[[], Awaitable[None]]) -> list[Check]:
    """Everything about Kafka; what needs a connection is left out when there is none.

    Args:
        pause: Waited for between two looks at the lag.
    """
    formats = list(all_formats())

    async def reach() -> Iterable[Check]:
        addresses = kafka.bootstrap_servers.split(",")
        await knock(kafka, addresses)
        return [Check("kafka", "ok", f"{', '.join(addresses)} answer over {kafka.security_protocol}")]

    async def cluster() -> Iterable[Check]:
        return [*await _advertised(kafka, found := await brokers(kafka)), size_check(kafka, found)]

    async def topics() -> Iterable[Check]:
        return [topics_check(await ensure_topics(kafka, all_topics(formats), apply=False))]

    async def roles() -> Iterable[Check]:
        running = await workers(kafka, ROLES)
        before = await read_status(kafka, formats)
        if any(before.lag.values()):
            await pause()
        return roles_checks(running, before, await read_status(kafka, formats))

    checks = await guarded("kafka", reach)
    if checks[0].state == "fail":
        return [*checks, *(Check(n, "skipped", "Kafka does not answer") for n in ("kafka topics", "roles"))]
    checks += await guarded("kafka brokers", cluster)
    checks += (found := await guarded("kafka topics", topics))
    if found[0].state == "fail":
        return [*checks, Check("roles", "skipped", "the topics are not there")]
    return checks + await guarded("roles", roles)


async def _advertised(kafka: KafkaSettings, found: Sequence[BrokerFacts]) -> list[Check]:
    """Clients follow the addresses that the brokers advertise, not those of the settings."""
    addresses = [broker.address for broker in found]
    try:
        await knock(kafka, addresses)
    except BrokerUnavailable as exc:
        check = failed("kafka brokers", exc)
        mend = "correct advertised.listeners of the brokers: clients are sent to these addresses"
        return [Check(check.name, "fail", f"an advertised address: {check.found}", mend, check.denied)]
    return [Check("kafka brokers", "ok", f"{len(found)}: {', '.join(addresses)}")]


def size_check(kafka: KafkaSettings, found: Sequence[BrokerFacts]) -> Check:
    """Whether the brokers take requests as large as our largest message."""
    name, needed = "kafka message size", kafka.max_message_bytes + REQUEST_OVERHEAD
    for broker in found:
        if 0 < broker.request_max_bytes < needed:
            return Check(
                name,
                "fail",
                f"{broker.address} takes requests of {broker.request_max_bytes} bytes, we send up to {needed}",
                f"set socket.request.max.bytes of the brokers to {needed} or more, or lower kafka.max_message_bytes",
            )
    if not all(broker.request_max_bytes for broker in found):
        return Check(name, "skipped", "the brokers do not tell their limits to this user")
    return Check(name, "ok", f"messages of {kafka.max_message_bytes} bytes fit; topics set their own limit")


def topics_check(states: Sequence[TopicState]) -> Check:
    """Whether the topics are there and as the settings want them."""
    missing = [state.name for state in states if state.state == "missing"]
    if missing:
        return Check("kafka topics", "fail", f"missing: {', '.join(missing)}", "create them: `skytrail topics`")
    if differing := [state for state in states if state.differences]:
        told = "; ".join(f"{state.name}: {', '.join(state.differences)}" for state in differing)
        return Check("kafka topics", "warn", told, "`skytrail topics` corrects what can be corrected")
    return Check("kafka topics", "ok", f"{len(states)} topics are as they should be")


def roles_checks(running: Mapping[str, int], before: Status, after: Status) -> list[Check]:
    """Whether each role has workers and gets on."""
    checks = []
    for role in ROLES:
        lag, moved = after.lag[role], before.lag[role] != after.lag[role]
        number = f"{running[role]} worker{'' if running[role] == 1 else 's'}, {lag} messages to do"
        if not running[role]:
            mend = f"start one: `skytrail worker {role}`"
            checks.append(Check(f"role {role}", "warn", number, mend))
        elif lag and not moved:
            mend = f"the log of `skytrail worker {role}` and its /readyz say what it waits for"
            checks.append(Check(f"role {role}", "warn", f"{number}, and it does not move", mend))
        else:
            checks.append(Check(f"role {role}", "ok", number))
    residue = after.totals.get("residue", 0)
    if residue and not any(after.lag.values()):
        mend = "docs/runbook.md: residue; `skytrail status` shows the source"
        checks.append(Check("accounting", "warn", f"{residue} records are unaccounted for", mend))
    return checks
