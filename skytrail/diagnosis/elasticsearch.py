"""Checks of Elasticsearch: it answers, its templates are ours, each identity may do its duty and nothing else."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import get_args

from elasticsearch import AsyncElasticsearch

from skytrail.diagnosis.check import Check, guarded
from storage.index.client import Identity, check_server, connect
from storage.index.duties import excess_rights, missing_rights
from storage.index.inspection import clock_of, template_differences
from storage.settings import ElasticsearchSettings

IDENTITIES: tuple[Identity, ...] = get_args(Identity)
_OPTIONAL: dict[Identity, str] = {
    "analyst": "alerts can't be acknowledged or closed",
    "retention": "`retention apply` can't drop an index",
    "eraser": "`erase apply` can't delete a person's documents",
    "auditor": "`report make access-review` can't tell who else has rights",
}
REQUEST_TIMEOUT_S = 10.0
SKEW_WARN_S = 2.0
SKEW_FAIL_S = 60.0

Clock = Callable[[], dt.datetime]


async def check_elasticsearch(settings: ElasticsearchSettings, clock: Clock) -> list[Check]:
    """Everything about Elasticsearch; what needs an answer is left out when there is none."""
    quick = settings.model_copy(update={"request_timeout_s": min(settings.request_timeout_s, REQUEST_TIMEOUT_S)})
    entered = await asyncio.gather(
        *(
            guarded(f"elasticsearch as {identity}", functools.partial(_enter, quick, identity))
            for identity in IDENTITIES
        )
    )
    checks = [check for found in entered for check in found]
    answering = [i for i, found in zip(IDENTITIES, entered, strict=True) if found[0].state == "ok"]
    if not answering:
        return [*checks, *(Check(n, "skipped", "Elasticsearch does not let us in") for n in ("templates", "clock"))]
    for identity in answering:
        checks += await guarded(f"rights of {identity}", functools.partial(_rights, quick, identity))
    if "bootstrap" in answering:
        checks += await guarded("templates", lambda: _templates(quick))
    return checks + await guarded("clock", lambda: _clock(quick, answering[0], clock))


async def _enter(settings: ElasticsearchSettings, identity: Identity) -> Iterable[Check]:
    login = getattr(settings, identity)
    if identity in _OPTIONAL and not (login.username or login.api_key.get_secret_value()):
        mend = f"set elasticsearch.{identity}, then `skytrail setup --superuser-password-file FILE`"
        return [Check(f"elasticsearch as {identity}", "warn", f"no login: {_OPTIONAL[identity]}", mend)]
    async with _client(settings, identity) as client:
        version = ".".join(map(str, await check_server(client)))
    return [Check(f"elasticsearch as {identity}", "ok", f"{settings.url}, version {version}")]


async def _rights(settings: ElasticsearchSettings, identity: Identity) -> Iterable[Check]:
    async with _client(settings, identity) as client:
        missing, excess = await missing_rights(client, identity), await excess_rights(client, identity)
    mend = "`skytrail setup --superuser-password-file FILE` gives each identity the role of its duty"
    checks = []
    if missing:
        checks.append(Check(f"rights of {identity}", "fail", f"lacks: {', '.join(missing)}", mend, denied=True))
    if excess:
        checks.append(Check(f"rights of {identity}", "fail", f"may, and must not: {', '.join(excess)}", mend))
    return checks or [Check(f"rights of {identity}", "ok", "may do its duty; what is forbidden was tried and refused")]


async def _templates(settings: ElasticsearchSettings) -> Iterable[Check]:
    async with _client(settings, "bootstrap") as client:
        differences = await template_differences(client, settings)
    if differences:
        mend = "install them: `skytrail setup` (or `skytrail up`)"
        return [Check("templates", "fail", ", ".join(differences), mend)]
    return [Check("templates", "ok", "all installed, none of somebody else wins over them")]


async def _clock(settings: ElasticsearchSettings, identity: Identity, clock: Clock) -> Iterable[Check]:
    async with _client(settings, identity) as client:
        before = clock()
        theirs = await clock_of(client)
        after = clock()
    return [skew_check(before, theirs, after)]


def skew_check(before: dt.datetime, theirs: dt.datetime, after: dt.datetime) -> Check:
    """How far Elasticsearch's clock is from ours; its answer was made between two times of ours."""
    skew = max((before - theirs).total_seconds(), (theirs - after).total_seconds(), 0.0)
    if skew <= SKEW_WARN_S:
        return Check("clock", "ok", f"agrees with Elasticsearch within {SKEW_WARN_S:g} s")
    mend = "run a time service (chrony, systemd-timesyncd) on every machine"
    return Check("clock", "fail" if skew > SKEW_FAIL_S else "warn", f"{skew:.1f} s away from Elasticsearch", mend)


@asynccontextmanager
async def _client(settings: ElasticsearchSettings, identity: Identity) -> AsyncIterator[AsyncElasticsearch]:
    client = connect(settings, identity)
    try:
        yield client
    finally:
        await client.close()
