"""`skytrail hold`: legal holds. Whoever may write to the ledger places one; to release it people must agree."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from ingest.schema.errors import ConfigError
from skytrail.cli.approving import KeyFileOption, signing
from skytrail.cli.context import context_of
from skytrail.cli.output import OutputOption, emit_object, emit_rows, say
from skytrail.cli.times import stretch
from skytrail.recording import recorded
from skytrail.retaining import Retaining, open_retaining
from storage.archive.manifest import instant
from storage.retention.approval import Request, ask, check, read
from storage.retention.entries import Hold, Release, Selector, entry_of, stamp
from storage.retention.record import Record, State
from storage.retention.store_holds import StoreHolds

COLUMNS = ("id", "namespace", "state", "since", "until", "selector", "reason", "placed_by", "at", "released_at")
NamespaceOption = Annotated[str, typer.Option("--namespace", "-n", help="Whose logs are held.")]
ReasonOption = Annotated[str, typer.Option(help="Why; it stays in the ledger for ever.")]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="A name of your choice, such as the number of the case.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Legal holds: what they cover is destroyed by nobody.", no_args_is_help=True)
    group.command("place")(hold_place)
    group.command("list")(hold_list)
    group.command("request")(hold_request)
    group.command("release")(hold_release)
    app.add_typer(group, name="hold")


@recorded("hold.place", "change", target="hold", details=("namespace", "reason", "by"))
def hold_place(
    context: typer.Context,
    hold: IdArgument,
    namespace: NamespaceOption,
    reason: ReasonOption,
    by: Annotated[str, typer.Option(help="Who places it.")],
    start: Annotated[str | None, typer.Option("--from", help="Only events from this time on: ISO 8601.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Only events before this time.")] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Only these data sets; patterns with *.")] = None,
    principal: Annotated[str, typer.Option(help="Only events of this actor: key, id, name or e-mail.")] = "",
    account: Annotated[str, typer.Option(help="Only events of this cloud account.")] = "",
    resource: Annotated[str, typer.Option(help="Only events about this resource: ARN, id or name.")] = "",
    output: OutputOption = None,
) -> None:
    """Place a legal hold: it is in the ledger, signed, when this returns; from then on nothing of it is destroyed.

    Events that come in later and match are held from their arrival on. Placing the same hold again changes nothing.

    Examples:  skytrail hold place case-7 -n acme --reason "claim 7/26" --by alice
               skytrail hold place case-8 -n acme --reason audit --by bob --principal mallory --from 2026-01-01
    """
    now = dt.datetime.now(dt.UTC)
    since, until = stretch(start, end, now)
    selector = Selector(
        datasets=tuple(dataset or ["*"]),
        since=stamp(since),
        until=stamp(until),
        principal=principal,
        account=account,
        resource=resource,
    )
    told = Hold(id=hold, at=instant(now), reason=reason, placed_by=by, selector=selector)
    retaining = _retaining(context)
    record = _record(retaining, namespace)
    state = record.enter(lambda known: _placing(known, record, told, now))
    emit_object(_row(namespace, state, state.holds[hold]), output)
    say(f"hold {hold} is entry {state.indices['hold', hold][1]} of the ledger of {namespace}")
    _hold_in_store(retaining, namespace, state)


@recorded("hold.list", details=("namespace",))
def hold_list(
    context: typer.Context,
    namespace: Annotated[str | None, typer.Option("--namespace", "-n", help="Only this one.")] = None,
    released: Annotated[bool, typer.Option("--released", help="Those that were released, too.")] = False,
    output: OutputOption = None,
) -> None:
    """List the holds in force: what follows from the entries of the ledger.

    Examples:  skytrail hold list   |   skytrail hold list -n acme --released -o json
    """
    retaining = _retaining(context)
    wanted = [name for name in retaining.namespaces() if namespace in (None, name)]
    emit_rows(_rows(retaining, wanted, released=released), output, columns=COLUMNS)


@recorded("hold.request", "change", target="hold", details=("namespace", "reason", "by"))
def hold_request(
    context: typer.Context,
    hold: IdArgument,
    namespace: NamespaceOption,
    reason: ReasonOption,
    by: Annotated[str, typer.Option(help="Your name in the policy's people.")],
    key: KeyFileOption,
    out: Annotated[Path, typer.Option(help="File to write, for those who are to agree.")],
) -> None:
    """Ask for the release of a hold: writes a request, signed by you, that others sign with `skytrail approve`.

    Examples:  skytrail hold request case-7 -n acme --reason settled --by alice --key alice.pem --out case-7.request
    """
    state = _record(_retaining(context), namespace).now()
    _open(state, hold, namespace)
    request = Request(
        action="release",
        namespace=namespace,
        subject=hold,
        reason=reason,
        requested_by=by,
        at=instant(dt.datetime.now(dt.UTC)),
    )
    out.write_bytes(ask(request, signing(state.policy, by, key)))
    needed = state.policy.approvals.release if state.policy else 0
    say(f"{out}: {needed} others must agree: skytrail approve {out} -n {namespace} --by NAME --key FILE")


@recorded("hold.release", "change", target="request", details=("namespace",))
def hold_release(
    context: typer.Context,
    request: Annotated[Path, typer.Argument(help="The request, signed by everybody who has to.")],
    namespace: NamespaceOption,
    output: OutputOption = None,
) -> None:
    """Release a hold: enters the request with its approvals in the ledger; refused (4) while too few agreed.

    Who asked never counts as one who agrees. The policy in force says how many are needed (approvals.release).

    Examples:  skytrail hold release case-7.request -n acme
    """
    retaining = _retaining(context)
    record, raw = _record(retaining, namespace), _read(request)
    hold = ""

    def make(state: State) -> list[bytes]:
        nonlocal hold
        hold = _agreed(state, raw, namespace, str(request))
        if hold in state.releases:
            return []
        now = dt.datetime.now(dt.UTC)
        return [entry_of(namespace, now, Release(id=hold, at="", request=raw.decode()))]

    state = record.enter(make)
    emit_object(_row(namespace, state, state.holds[hold]), output)
    say(f"hold {hold} is released: entry {state.indices['release', hold][1]} of the ledger of {namespace}")
    _hold_in_store(retaining, namespace, state)


def _hold_in_store(retaining: Retaining, namespace: str, state: State) -> None:
    """Let the store follow the ledger, where it can; the role rotate does the same for what comes in later."""
    step = StoreHolds(retaining.store).keep_in_step(namespace, retaining.chains(namespace), state)
    if step.able:
        say(f"the store holds {step.held} objects more and {step.freed} less than before")
    else:
        say(
            "the store holds no objects itself (S3 with archive.s3.lock does): who may delete there is not kept from it"
        )


def _agreed(state: State, raw: bytes, namespace: str, where: str) -> str:
    """The hold that a request is about, if enough people agreed."""
    if state.policy is None:
        raise ConfigError(
            "releasing a hold: no policy is in force here, so nobody can agree", where=namespace, mend="retention adopt"
        )
    _, request = read(raw, where)
    if request.subject not in state.holds:
        raise ConfigError(f"releasing a hold: there is no {request.subject!r}", where=namespace, mend="hold list")
    asked = Request(action="release", namespace=namespace, subject=request.subject, reason="", requested_by="", at="")
    check(raw, state.policy, asked, state.policy.approvals.release, where)
    return request.subject


def _placing(state: State, record: Record, told: Hold, now: dt.datetime) -> list[bytes]:
    known = state.holds.get(told.id)
    if known is None:
        return [entry_of(record.namespace, now, told)]
    if known.selector != told.selector or told.id in state.releases:
        raise ConfigError(
            f"placing hold {told.id}: there was another one of this name",
            where=record.namespace,
            mend="choose another name: what the ledger has of a hold never changes",
        )
    return []


def _open(state: State, hold: str, namespace: str) -> None:
    if hold not in {each.id for each in state.open_holds()}:
        mend = f"`skytrail hold list -n {namespace} --released` shows them"
        raise ConfigError(f"looking for hold {hold!r}: none is in force", where=namespace, mend=mend)


def _retaining(context: typer.Context) -> Retaining:
    return open_retaining(context_of(context).settings, lambda: dt.datetime.now(dt.UTC), allow_delete=True)


def _record(retaining: Retaining, namespace: str) -> Record:
    if namespace not in retaining.namespaces():
        known = ", ".join(retaining.namespaces())
        raise ConfigError(f"looking for namespace {namespace!r}: it has no ledger", mend=f"use one of {known}")
    return retaining.record(namespace)


def _rows(retaining: Retaining, namespaces: list[str], *, released: bool) -> Iterator[dict[str, Any]]:
    for namespace in namespaces:
        state = retaining.record(namespace).now()
        for told in state.holds.values():
            if released or told.id not in state.releases:
                yield _row(namespace, state, told)


def _row(namespace: str, state: State, told: Hold) -> dict[str, Any]:
    release, chosen = state.releases.get(told.id), told.selector
    names = {"principal": chosen.principal, "account": chosen.account, "resource": chosen.resource}
    return {
        "id": told.id,
        "namespace": namespace,
        "state": "released" if release else "in force",
        "since": chosen.since,
        "until": chosen.until,
        "selector": {"datasets": list(chosen.datasets)} | {name: value for name, value in names.items() if value},
        "reason": told.reason,
        "placed_by": told.placed_by,
        "at": told.at,
        "released_at": release.at if release else None,
    }


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ConfigError(
            f"reading a request: {exc.strerror}", where=str(path), mend="`skytrail hold request`"
        ) from exc
