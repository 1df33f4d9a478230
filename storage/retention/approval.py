"""Requests that others must agree to: a signed note (C2SP) with the signature of who asks and of those who agree.

What is signed is the request itself, so nobody can be made to agree to something else. Who may sign is what the policy
in force says; it is in the ledger, and so is the note, so a verifier can judge both later.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ingest.schema.errors import ConfigError, Refused
from storage.archive.manifest import canonical
from storage.ledger.note import Note, parse
from storage.ledger.signing import NoteSigner, VerifierKey, parse_vkey
from storage.retention.policy import Policy

HEADING = "skytrail request v1"
_ANEW = "somebody changed the file: ask anew, or take the lines away that are wrong and let them approve again"
_MEND = "`skytrail approve FILE --key KEY` adds a signature; the policy (people, approvals) says whose counts"


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What somebody asks for.

    Attributes:
        action: `release` of a hold, `expiry`, `erasure` of a person, or to `reveal` pseudonyms.
        subject: The id of the hold, or the hex SHA-256 of the plan, of the list of keys that go, or of that of tokens.
        requested_by: Name of the person in the policy.
        at: When it was asked.
        until: From when on it is good for nothing; empty: the action has an end of its own, or none.
        basis: The rule by which it is to be done, where the action asks for one.
    """

    action: Literal["release", "expiry", "erasure", "reveal"]
    namespace: str
    subject: str
    reason: str
    requested_by: str
    at: str
    until: str = ""
    basis: str = ""


def ask(request: Request, signer: NoteSigner) -> bytes:
    """The request with the signature of who asks."""
    text = _text(request)
    return Note(text, (signer.sign(text, 0),)).encode()


def approve(raw: bytes, signer: NoteSigner, where: str) -> bytes:
    """The request with one signature more.

    Raises:
        ConfigError: It is no request.
        Refused: This key has signed it already.
    """
    note, _ = read(raw, where)
    if any(signer.key.made(each) for each in note.signatures):
        raise Refused("approving: this key has signed this request already", where=where, mend=_MEND)
    return Note(note.text, (*note.signatures, signer.sign(note.text, 0))).encode()


def read(raw: bytes, where: str) -> tuple[Note, Request]:
    """A request as it was written.

    Raises:
        ConfigError: It is none.
    """
    try:
        note = parse(raw)
        request = msgspec.json.decode(note.text.removeprefix(f"{HEADING}\n"), type=Request)
    except (ValueError, msgspec.MsgspecError) as exc:
        raise ConfigError(f"reading a request: {exc}", where=where, mend=_MEND) from exc
    if note.text != _text(request):
        raise ConfigError("reading a request: it has not the form of one", where=where, mend=_MEND)
    return note, request


def check(raw: bytes, policy: Policy, asked: Request, needed: int, where: str) -> tuple[Request, list[str]]:
    """The request and who agreed, when enough people of the policy did.

    Args:
        raw: The signed request.
        policy: In force.
        asked: What it must be about: action, namespace and subject are compared.
        needed: How many people, besides who asks, must have signed.
        where: For the errors.

    Raises:
        ConfigError: It is no request, or one about something else.
        Refused: Too few signed it, or a signature of one of the policy's people is wrong.
    """
    note, request = read(raw, where)
    about = (request.action, request.namespace, request.subject)
    if about != (asked.action, asked.namespace, asked.subject):
        raise ConfigError(f"reading a request: it is about {' '.join(about)}", where=where, mend=_MEND)
    signed = _signed(note, policy, where)
    if request.requested_by not in signed:
        raise Refused(
            f"checking approvals: {request.requested_by!r}, who asks, did not sign or is not among the policy's people",
            where=where,
            mend=_MEND,
        )
    agreed = [name for name in signed if name != request.requested_by]
    if len(agreed) < needed:
        raise Refused(
            f"checking approvals: {needed} people besides {request.requested_by} must agree, {len(agreed)} did",
            where=where,
            mend=_MEND,
        )
    return request, agreed


def _signed(note: Note, policy: Policy, where: str) -> list[str]:
    """The names of the policy's people who signed, sorted.

    Each key signs once and rightly, or the note counts for nothing: of two signatures another reader may take another.
    """
    signed = []
    for name, key in sorted(people_of(policy).items()):
        own = [each for each in note.signatures if key.made(each)]
        if len(own) > 1:
            raise Refused(f"checking approvals: it has {len(own)} signatures of {name}", where=where, mend=_ANEW)
        if own and not key.verifies(note.text, own[0]):
            raise Refused(f"checking approvals: the signature of {name} is wrong", where=where, mend=_ANEW)
        signed += [name] if own else []
    return signed


def _text(request: Request) -> str:
    return f"{HEADING}\n{canonical(request).decode()}\n"


def people_of(policy: Policy) -> dict[str, VerifierKey]:
    """The keys of a policy's people; they were checked when it was read."""
    return {name: parse_vkey(text) for name, text in policy.people.items()}
