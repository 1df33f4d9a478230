"""`skytrail erase`: the right to erasure of one person (GDPR Art. 17), planned, agreed to, carried out and proven."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from ingest.schema.errors import ConfigError, IntegrityError, Refused
from skytrail.cli.approving import KeyFileOption, signing
from skytrail.cli.context import context_of
from skytrail.cli.exits import Exit
from skytrail.cli.output import OutputOption, emit_rows, say
from skytrail.cli.places import opened
from skytrail.erasing import Erasing, Hot, alerts_may_go, open_erasing
from skytrail.erasing_found import find
from skytrail.recording import recorded
from storage.archive.manifest import instant
from storage.retention.approval import Request, ask, read
from storage.retention.erasing import ErasurePlan, subject_of_request
from storage.retention.erasure_entry import enter_erasure, entered, needed_of
from storage.verify.proof.certificate import make_erasure_certificate
from storage.verify.proof.making import Unprovable

COLUMNS = ("what", "state", "records", "first", "last", "because")
FOUND = ("subject", "display", "documents", "first", "last", "keys", "after_erasure")
NamespaceOption = Annotated[str, typer.Option("--namespace", "-n", help="Whose logs.")]
SubjectArgument = Annotated[
    list[str], typer.Argument(metavar="SUBJECT…", help="Keys of who acted, as `skytrail erase find` lists them.")
]
BEYOND = (
    ("Kafka", "until the retention of its topics: docs/operations.md"),
    ("backups", "of key tables, Elasticsearch and the archive: yours to clear, docs/runbook.md"),
    ("copies", "reports, exports and what was sent to others: yours to clear"),
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Erase one person: records, documents, and proof of it.", no_args_is_help=True)
    group.command("find")(erase_find)
    group.command("plan")(erase_plan)
    group.command("request")(erase_request)
    group.command("apply")(erase_apply)
    group.command("recover")(erase_recover)
    group.command("certificate")(erase_certificate)
    app.add_typer(group, name="erase")


@recorded("erase.find", details=("namespace",))
def erase_find(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A user name, an e-mail address, or an id.")],
    namespace: NamespaceOption,
    output: OutputOption = None,
) -> None:
    """List under which keys somebody acted, by the documents that Elasticsearch has.

    `keys`: how many data keys there are of theirs. `after_erasure`: how many of these were made after an erasure, for
    records of an old month that were sealed late.

    Examples:  skytrail erase find alice@example.com -n acme
    """
    found = asyncio.run(find(context_of(context).connected(kafka=False), namespace, name))
    emit_rows(map(msgspec.to_builtins, found), output, columns=FOUND)
    if late := sum(each.after_erasure or 0 for each in found):
        say(f"{late} keys were made after an erasure, for records that were sealed late: they need a new request")
    say("Next: skytrail erase plan SUBJECT… -n NAMESPACE; what is in the archive alone is found by the same keys")


@recorded("erase.plan", details=("namespace",))
def erase_plan(
    context: typer.Context, subject: SubjectArgument, namespace: NamespaceOption, output: OutputOption = None
) -> None:
    """Say what would go, what stays and why: each key, documents, alerts, and what no command can reach.

    States: erase, later (its month still runs), held (a legal hold), kept (a legal minimum), gone, stays, yours.

    Examples:  skytrail erase plan aws:AIDAEXAMPLE entra:0b1c-… -n acme
    """
    erasing = _opened(context, namespace, subject)
    plan = erasing.plan()
    hot = asyncio.run(erasing.hot(plan, plan.going))
    emit_rows(_rows(plan, hot, erasing.sealed_without(), erasing.behind(plan)), output, columns=COLUMNS)
    if plan.going:
        say(f"{len(plan.going)} of {len(plan.keys)} keys can go now. Next: skytrail erase request, same subjects")
    else:
        say("nothing of it can go now; `because` says why and until when")


@recorded("erase.request", "change", details=("namespace", "reason", "by", "basis", "good_for_days"))
def erase_request(
    context: typer.Context,
    subject: SubjectArgument,
    namespace: NamespaceOption,
    reason: Annotated[str, typer.Option(help="Reference of what asks for it; no personal data: it stays for ever.")],
    by: Annotated[str, typer.Option(help="Your name in the policy's people.")],
    key: KeyFileOption,
    out: Annotated[Path, typer.Option(help="File to write, for those who are to agree.")],
    basis: Annotated[str, typer.Option(help="The rule by which it is done; names nobody.")] = "GDPR Art. 17(1)",
    good_for_days: Annotated[int, typer.Option(min=1, max=366, help="After this it can't be carried out.")] = 30,
) -> None:
    """Ask for an erasure: writes a request, signed by you, that others sign with `skytrail approve`.

    It names the keys that go by their digest, and nobody by name. The policy says how many must agree
    (approvals.erasure, one at least). Basis and end are part of what everybody signs.

    Examples:  skytrail erase request aws:AIDAEXAMPLE -n acme --reason DPO-17 --by alice --key a.pem --out 17.request
    """
    erasing = _opened(context, namespace, subject)
    plan = erasing.plan()
    if not plan.going:
        raise Refused("asking for an erasure: nothing can go now", mend="`skytrail erase plan` says why")
    erasing.refuse_others(plan.going, str(out))
    policy = erasing.record.now().policy
    request = Request(
        action="erasure",
        namespace=namespace,
        subject=subject_of_request(namespace, plan.going),
        reason=reason,
        requested_by=by,
        at=instant(erasing.now),
        until=instant(erasing.now + dt.timedelta(days=good_for_days)),
        basis=basis,
    )
    out.write_bytes(ask(request, signing(policy, by, key)))
    needed = needed_of(policy) if policy else 0
    say(f"{out}: {needed} others must agree: skytrail approve {out} --by NAME --key FILE")


@recorded("erase.apply", "deletion", details=("namespace",))
def erase_apply(
    context: typer.Context,
    request: Annotated[Path, typer.Argument(help="The request, signed by everybody who has to.")],
    subject: SubjectArgument,
    namespace: NamespaceOption,
    output: OutputOption = None,
) -> None:
    """Erase: an entry in the ledger, then the keys, then the documents. Stopped anywhere, run it again.

    Exit 5: something of the person stays, and the rows say why. `verify` then says ERASED of what went, HELD of a key
    that a hold or minimum keeps, and passes. When that is over, run it again, or with a new request.

    Examples:  skytrail erase apply 17.request aws:AIDAEXAMPLE -n acme
    """
    raw = _read(context, request, namespace)
    erasing = _opened(context, namespace, subject)
    before = entered(erasing.retaining.store, erasing.record, raw)
    plan, where = erasing.plan(before), str(request)
    agreed = list(before.keys) if before else plan.going
    if not agreed:
        raise Refused("erasing: nothing can go now", where=where, mend="`skytrail erase plan` says why")
    erasing.refuse_others(agreed, where)
    if before is None:
        enter_erasure(erasing.retaining.store, erasing.record, plan, raw, erasing.now, where=where)
    erasing.close([each for each in plan.going if each in agreed])
    plan = erasing.plan(entered(erasing.retaining.store, erasing.record, raw))
    # What came in since it was agreed to, a hold or a record that must stay, keeps the key all the same; and what was
    # sealed until the keys were closed is among the records. Of what is gone a stop may have left something beside.
    going = [each for each in plan.going if each in agreed]
    erasing.destroy([*going, *(each.key for each in plan.keys if each.fate == "gone" and each.key in agreed)])
    hot = asyncio.run(erasing.hot(plan, going))
    places = [*hot.going, *(hot.alerts if alerts_may_go(plan, hot, going) else ())]
    deleted = asyncio.run(erasing.delete(places))
    after = erasing.plan(entered(erasing.retaining.store, erasing.record, raw))
    left = asyncio.run(erasing.hot(after, []))
    left.mentions = hot.mentions  # by names that only the deleted documents told
    unkeyed, behind = erasing.sealed_without(), erasing.behind(after)
    emit_rows(_rows(after, left, unkeyed, behind), output, columns=COLUMNS)
    say(f"Destroyed {len(going)} keys and deleted {deleted:,} documents of {namespace}; the ledger says so")
    say("Next: skytrail erase certificate FILE, and clear what the rows call yours")
    if not alerts_may_go(after, left) or left.going or left.alerts or unkeyed or behind:
        raise typer.Exit(Exit.INCOMPLETE)


@recorded("erase.recover", details=("namespace",))
def erase_recover(
    context: typer.Context,
    subject: SubjectArgument,
    namespace: NamespaceOption,
    out: Annotated[Path, typer.Option(help="File to write.")],
    output: OutputOption = None,
) -> None:
    """Write a request that was lost anew, as the ledger has it: to go on with `apply`, or for its certificate.

    Of several erasures the first that is not finished, else the newest; those of earlier epochs of the ledger as well.

    Examples:  skytrail erase recover aws:AIDAEXAMPLE -n acme --out 17.request
    """
    erasing = _opened(context, namespace, subject)
    found = erasing.entries()
    if not found:
        raise Refused("recovering: no entry of the ledger erases all of them", mend="leave a subject out, or ask anew")
    left = [sum(erasing.keys.has_subject_key(namespace, key) for key in each.keys) for each in found]
    chosen = next((number for number, keys in enumerate(left) if keys), len(found) - 1)
    out.write_bytes(found[chosen].request.encode())
    rows = [
        {
            "at": each.at,
            "keys": len(each.keys),
            "left": keys,
            "basis": each.basis,
            "approvers": ", ".join(each.approvers),
        }
        for each, keys in zip(found, left, strict=True)
    ]
    emit_rows(rows, output, columns=("at", "keys", "left", "basis", "approvers"))
    say(f"{out}: the request of {found[chosen].at}; next: skytrail erase apply {out}, same subjects")


@recorded("erase.certificate", details=("namespace",))
def erase_certificate(
    context: typer.Context,
    request: Annotated[Path, typer.Argument(help="The request that was carried out.")],
    namespace: NamespaceOption,
    out: Annotated[Path, typer.Option("--out", help="File to write.")],
) -> None:
    """Write the certificate of an erasure: a third party checks it offline with a key of the ledger. It names nobody.

    Examples:  skytrail erase certificate 17.request -n acme --out 17.proof  &&  skytrail check-certificate 17.proof
    """
    settings = context_of(context).settings
    place, raw = opened(settings.archive_place), _read(context, request, namespace)
    try:
        made = make_erasure_certificate(place, namespace, settings.ledger.epoch, raw.decode())
    except Unprovable as exc:
        mend = "`skytrail erase apply` carries a request out"
        raise ConfigError(f"certifying: {exc}", where=str(place), mend=mend) from exc
    except (OSError, ValueError) as exc:
        raise IntegrityError(f"certifying: {exc}", where=str(place), mend="run `skytrail verify`") from exc
    body = made.encode()
    out.write_bytes(body)
    say(f"{len(body):,} bytes of {made.checkpoint.origin}; next: skytrail check-certificate {out} --key VKEY")


def _opened(context: typer.Context, namespace: str, subjects: list[str]) -> Erasing:
    return open_erasing(context_of(context).connected(kafka=False), namespace, subjects)


def _read(context: typer.Context, request: Path, namespace: str) -> bytes:
    """A request for erasure; the record of the action names it by its digest, as its path may name somebody."""
    try:
        raw = request.read_bytes()
    except OSError as exc:
        raise ConfigError(f"reading a request: {exc.strerror}", where=str(request)) from exc
    _, asked = read(raw, str(request))
    if (asked.action, asked.namespace) != ("erasure", namespace):
        told = f"reading a request: it asks for {asked.action} in {asked.namespace}"
        raise ConfigError(told, where=str(request), mend="`skytrail erase request` writes those for erasure")
    context_of(context).told |= {"keys_sha256": asked.subject, "requested_by": asked.requested_by}
    return raw


def _rows(plan: ErasurePlan, hot: Hot, unkeyed: int, behind: list[str]) -> Iterator[dict[str, Any]]:
    for key in plan.keys:
        because = key.because + (f" until {key.until[:10]}" if key.until else "")
        yield _row(f"key {key.key}", key.fate, key.records, because, key.first, key.last)
    yield _row("documents", "erase", len(hot.going), "" if hot.going else "none")
    if hot.staying:
        yield _row("documents", "stays", hot.staying, "their key stays")
    if hot.unkeyed:
        told = "sealed without a key of their own: they go with their month, or by `retention apply`"
        yield _row("documents", "stays", hot.unkeyed, told)
    if unkeyed:
        told = "sealed without keys of people, and whole objects: some may be the person's, and go with their month"
        yield _row("records of anybody", "stays", unkeyed, told)
    for each in behind:
        told = "of such a month and not sealed yet, there may be: they get a new key, and `erase find` tells of it"
        yield _row(f"records beyond {each}", "later", None, told)
    go = alerts_may_go(plan, hot, plan.going)
    why = hot.alerts_kept or "something of the person stays"
    yield _row("alerts", "erase" if go else "stays", len(hot.alerts), "" if go else why)
    yield _row("documents of others that name the person", "stays", hot.mentions, "they are theirs, too")
    for what, because in BEYOND:
        yield _row(what, "yours", None, because)


def _row(what: str, state: str, records: int | None, because: str, first: str = "", last: str = "") -> dict[str, Any]:
    return {"what": what, "state": state, "records": records, "first": first, "last": last, "because": because}
