"""The entry that makes the erasure of a person lawful: signed by enough people, before any key goes."""

from __future__ import annotations

import datetime as dt

from ingest.schema.errors import Refused
from storage.archive.people import sealed_since
from storage.archive.store import ArchiveStore
from storage.datakeys.subjects import month_key_of
from storage.ledger.entries import shred
from storage.ledger.key_history import Shred, shreds_anywhere
from storage.retention.approval import Request, check
from storage.retention.erasing import ErasurePlan, subject_of_request
from storage.retention.policy import Policy
from storage.retention.record import Record, State

LEAST_AGREEING = 1
"""People besides the one who asks, where the policy does not say more."""
CLOCKS_DIFFER = dt.timedelta(days=1)


def needed_of(policy: Policy) -> int:
    """How many people, besides the one who asks, must agree to an erasure."""
    told = policy.approvals.erasure
    return told if isinstance(told, int) else LEAST_AGREEING


def entered(store: ArchiveStore, record: Record, raw: bytes) -> Shred | None:
    """The entry that a request led to, in whatever epoch; None while there is none."""
    text = raw.decode("utf-8", "replace")
    return next((each for each in shreds_anywhere(store, record.namespace) if each.request == text), None)


def enter_erasure(
    store: ArchiveStore, record: Record, plan: ErasurePlan, raw: bytes, now: dt.datetime, *, where: str
) -> None:
    """Enter that a person's keys are to be destroyed; durable, signed and published on return.

    Args:
        store: The archive.
        record: What is in force in the namespace.
        plan: Which keys go.
        raw: The signed request: it says by which rule it is done, and until when it is good.
        now: The present.
        where: Of the request, for errors.

    Raises:
        Refused: Too few agreed, it has lapsed, or a hold, a policy or a record of such a month came in since the plan
            was made.
        ConfigError: The request is about something else.
        StoreUnavailable: It may have been entered or not: call it again.
    """

    def lacking(state: State) -> list[bytes]:
        if entered(store, record, raw) is not None:
            return []
        if not plan.unchanged(state):
            raise Refused("erasing: a hold or a policy came in meanwhile", where=where, mend="run it again")
        late = sealed_since(store, plan.namespace, plan.segments, {month_key_of(each) or "" for each in plan.going})
        if late is not None:
            told = (
                f"erasing: records of a month that goes were sealed meanwhile: {late.stream.topic}, segment {late.seq}"
            )
            raise Refused(told, where=where, mend="run it again")
        if state.policy is None:
            raise Refused(
                "erasing: no policy says who may ask for it and agree",
                where=where,
                mend="name people in a policy, then `skytrail retention adopt`: docs/retention.md",
            )
        asked = Request(
            action="erasure",
            namespace=plan.namespace,
            subject=subject_of_request(plan.namespace, plan.going),
            reason="",
            requested_by="",
            at="",
        )
        request, agreed = check(raw, state.policy, asked, needed_of(state.policy), where)
        _refuse_lapsed(request, now, where)
        people = [request.requested_by, *agreed]
        text = raw.decode()
        return [shred(plan.namespace, now, keys=plan.going, request=text, basis=request.basis, approvers=people)]

    record.enter(lacking)


def _refuse_lapsed(request: Request, now: dt.datetime, where: str) -> None:
    """Raise `Refused` unless a request says by which rule it is done, and is good now."""
    mend = "`skytrail erase request` writes a new one"
    if not request.until or not request.basis:
        raise Refused(
            "erasing: the request does not say until when it is good, or by which rule", where=where, mend=mend
        )
    try:
        asked, until = dt.datetime.fromisoformat(request.at), dt.datetime.fromisoformat(request.until)
        lapsed = not asked - CLOCKS_DIFFER <= now < until
    except (ValueError, TypeError) as exc:
        raise Refused("erasing: a time in the request is none", where=where, mend=mend) from exc
    if lapsed:
        raise Refused(f"erasing: the request of {request.at} was good until {request.until}", where=where, mend=mend)
