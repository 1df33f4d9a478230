"""Who may do what, for whoever has to review it: identities, everybody else, people who decide, keys, last uses."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import get_args

from ingest.schema.errors import SkytrailError
from skytrail.reports.cells import quoted
from skytrail.reports.evidence.archive import states
from skytrail.reports.evidence.people import REVIEWED_WITHIN, access_reviews, start_of
from skytrail.reports.facts import Ground
from skytrail.reports.gathering import Asked
from skytrail.reports.key_files import key_files
from skytrail.reports.kinds.access import read_uses
from skytrail.reports.report import Section, Verdict
from storage.index.client import Identity, connect
from storage.index.duties import excess_rights
from storage.index.rights import everybody, own_rights
from storage.settings import Login

TITLE = "Review of access: who may do what"
_UNTOLD = ("",) * 6


async def gather(asked: Asked) -> Sequence[Section]:
    """Ask Elasticsearch, the ledgers, the files of this machine and the records of actions.

    Raises:
        IndexUnavailable: Elasticsearch does not answer the reader.
    """
    return [
        await _identities(asked),
        await _everybody(asked),
        await _deciders(asked),
        key_files(asked.settings, asked.now),
        await _uses(asked),
        await _reviews(asked),
    ]


async def _identities(asked: Asked) -> Section:
    rows, verdicts = [], set()
    for identity in get_args(Identity):
        verdict, cells = await _identity(asked, identity)
        verdicts.add(verdict)
        rows.append((identity, *cells))
    order = (Verdict.FAIL, Verdict.NOT_MEASURED, Verdict.PASS)
    return Section(
        name="identities",
        title="What the identities of Skytrail may do in Elasticsearch",
        verdict=next(each for each in order if each in verdicts),
        text=(
            "Elasticsearch was asked by each identity what it is and may, and everything beyond its duty was attempted "
            "(docs/operations.md has the duties). Identities without a login on this machine were not asked."
        ),
        columns=("identity", "user", "realm", "roles", "cluster", "indices", "acts as", "beyond its duty"),
        rows=tuple(rows),
    )


async def _identity(asked: Asked, identity: Identity) -> tuple[Verdict, tuple[str, ...]]:
    settings = asked.settings.elasticsearch
    if not _has_login(getattr(settings, identity)):
        return Verdict.NOT_MEASURED, (*_UNTOLD, "not asked: there is no login on this machine")
    client = connect(settings, identity)
    try:
        held, excess = await own_rights(client, identity), await excess_rights(client, identity)
    except SkytrailError as exc:  # the report tells it; the other identities are asked all the same
        return Verdict.NOT_MEASURED, (*_UNTOLD, quoted(f"not measured: {exc}"))
    finally:
        await client.close()
    excess += [f"act as {user}" for user in held.run_as]
    roles, cluster, run_as = (", ".join(each) for each in (held.roles, held.cluster, held.run_as))
    beyond = ", ".join(excess) or "nothing; it was attempted"
    verdict = Verdict.FAIL if excess else Verdict.PASS
    return verdict, (held.user, held.realm, roles, cluster, "; ".join(held.indices), run_as, beyond)


async def _everybody(asked: Asked) -> Section:
    name, title = "everybody", "Who else has rights over the logs in Elasticsearch"
    settings = asked.settings.elasticsearch
    if not _has_login(settings.auditor):
        told = "Not asked: elasticsearch.auditor has no login on this machine."
        return Section(name=name, title=title, verdict=Verdict.NOT_MEASURED, text=told)
    client = connect(settings, "auditor")
    try:
        found, asking = await everybody(client), await own_rights(client, "auditor")
    except SkytrailError as exc:
        return Section(name=name, title=title, verdict=Verdict.NOT_MEASURED, text=f"Not measured: {exc}")
    finally:
        await client.close()
    if not any(each.name == asking.user or f" of {asking.user} (" in each.name for each in found):
        told = (
            f"Not measured: Elasticsearch keeps users elsewhere than its security API lists them; the auditor itself, "
            f"{asking.user} of the realm {asking.realm}, is not among the {len(found):,} it told."
        )
        return Section(name=name, title=title, verdict=Verdict.NOT_MEASURED, text=told)
    able = [each for each in found if each.rights]
    return Section(
        name=name,
        title=title,
        text=(
            f"{len(able):,} of {len(found):,} users, mappings and API keys have rights over `logs-*`, `skytrail-*` or "
            "the cluster; whether each should, the reviewer decides. Not seen: users and roles in files of the nodes, "
            "and who is in a group of another realm."
        ),
        columns=("kind", "name", "enabled", "roles", "rights"),
        rows=tuple(
            (each.kind, each.name, each.enabled, ", ".join(each.roles), "; ".join(each.rights)) for each in able
        ),
    )


async def _deciders(asked: Asked) -> Section:
    name, title = "deciders", "Who may release holds and destroy what expired"
    try:
        found = await states(Ground(asked))
    except SkytrailError as exc:
        return Section(name=name, title=title, verdict=Verdict.NOT_MEASURED, text=f"Not measured: {exc}")
    rows = []
    for namespace, state in sorted(found.items()):
        policy = state.policy
        needed = (policy.approvals.release, policy.approvals.expiry) if policy else (None, None)
        people = sorted(policy.people.items()) if policy else []
        rows += [(namespace, *each, *needed) for each in people or [("nobody", "")]]
    return Section(
        name=name,
        title=title,
        verdict=Verdict.FACTS if rows else Verdict.NOT_MEASURED,
        text=(
            "People whose keys are in the policy in force, as the signed ledger of each namespace has it, and how many "
            "of them must agree besides the one who asks."
        ),
        columns=("namespace", "person", "key", "agree to a release", "agree to destruction"),
        rows=tuple(rows),
    )


async def _uses(asked: Asked) -> Section:
    start = start_of(asked)
    uses, _ = await read_uses(dataclasses.replace(asked, start=start))
    people = sorted({who for who, _ in uses})
    rows = []
    for who in people:
        own = {action: use for (name, action), use in uses.items() if name == who}
        machines = sorted(set().union(*(use.hosts for use in own.values())))
        counted = sum(use.times for use in own.values())
        rows.append((who, counted, max(use.last for use in own.values()), ", ".join(machines), ", ".join(sorted(own))))
    return Section(
        name="uses",
        title="Who used Skytrail, and when last",
        verdict=Verdict.FACTS if rows else Verdict.NOT_MEASURED,
        text=(
            f"Accounts with records of actions since {start:%Y-%m-%d}. One that may and never did is a candidate for "
            "removal. Whoever asks Elasticsearch directly leaves no record here."
        ),
        columns=("account", "actions", "last", "machines", "what"),
        rows=tuple(rows),
    )


async def _reviews(asked: Asked) -> Section:
    found = await access_reviews(asked)
    recent = [each for each in found if asked.now - each.at <= REVIEWED_WITHIN]
    return Section(
        name="reviews",
        title="Who reviewed access, and when",
        verdict=Verdict.PASS if recent else Verdict.FAIL,
        text=(
            f"Sign-offs of `access-review`; one within {REVIEWED_WITHIN.days} days is asked for. The reviewer of this "
            "report signs with `skytrail report sign-off access-review --period PERIOD -c WHAT`."
        ),
        columns=("period", "who", "at", "comment"),
        rows=tuple((each.period, each.who, f"{each.at:%Y-%m-%dT%H:%M:%SZ}", each.comment) for each in found),
    )


def _has_login(login: Login) -> bool:
    return bool(login.username or login.api_key.get_secret_value())
