"""Whether a request was signed by who knows the secret, and not long ago. Pure.

What is signed is a text with places: ``{timestamp}.{body}`` is our own form, ``v0:{timestamp}:{body}`` that of Slack,
``{id}.{timestamp}.{body}`` that of https://www.standardwebhooks.com. HMAC is that of RFC 2104 with SHA-256.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ingest.schema.errors import ConfigError
from ingest.transports.signed_webhook.settings import SignedWebhookSettings

_PLACE = re.compile(r"\{(id|timestamp|body)\}")
_SECONDS = re.compile(r"[0-9]{10}")  # of one length: where it ends is never in doubt
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_MEND = "give a text like {timestamp}.{body}, with {body} at its end"
_MOST_SIGNATURES = 8


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused.

    Attributes:
        status: 401 where something is missing or cannot be read, 403 where it is wrong.
        why: In words, for the sender.
    """

    status: int
    why: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says of itself, before its body is read.

    Attributes:
        signed_at: Unix seconds.
        message_id: Empty where none is asked for.
        signatures: As sent, decoded.
    """

    signed_at: int
    message_id: str
    signatures: tuple[bytes, ...]


class Scheme:
    """How requests are signed.

    Raises:
        ConfigError: What is signed could be read in two ways, or is not all that counts.
    """

    def __init__(self, settings: SignedWebhookSettings) -> None:
        self._settings = settings
        self._literals, self._names = _places(settings.signed)
        if ("id" in self._names) != bool(settings.id_header):
            mend = "set id_header and sign {id}, or neither: an id that is not signed proves nothing"
            raise ConfigError("reading signature scheme: id_header and {id} go together", where="signed", mend=mend)

    def claim(self, headers: Mapping[str, str], now_s: float) -> Claim | Refusal:
        """What the headers say, if it may count at this time."""
        asked = self._settings
        stamp = headers.get(asked.timestamp_header, "").strip()
        if not _SECONDS.fullmatch(stamp):
            return Refusal(401, f"{asked.timestamp_header}: missing, or not Unix seconds")
        off = now_s - int(stamp)
        if abs(off) > asked.replay_window_s:
            return Refusal(403, f"{asked.timestamp_header}: {off:.0f} s away, more than {asked.replay_window_s} s")
        message_id = headers.get(asked.id_header, "").strip() if asked.id_header else ""
        if asked.id_header and not _ID.fullmatch(message_id):
            return Refusal(401, f"{asked.id_header}: missing, or not of letters, digits, _ and -")
        signatures = tuple(self._signatures(headers.get(asked.signature_header, "")))
        if not signatures:
            return Refusal(401, f"{asked.signature_header}: missing, or not {asked.signature_encoding} of 32 bytes")
        return Claim(int(stamp), message_id, signatures)

    def proven_by(self, claim: Claim, body: bytes, keys: Sequence[bytes]) -> bytes | None:
        """The signature, as it should be, if one of the keys made it; takes the same time for every key."""
        values = {"id": claim.message_id.encode(), "timestamp": b"%d" % claim.signed_at, "body": body}
        pieces = [piece for pair in zip(self._literals, self._names, strict=True) for piece in pair]
        signed = b"".join(values[piece] if isinstance(piece, str) else piece for piece in pieces)
        proof = None
        for key in keys:
            right = hmac.digest(key, signed, hashlib.sha256)
            for given in claim.signatures:
                if hmac.compare_digest(right, given):
                    proof = right
        return proof

    def _signatures(self, header: str) -> list[bytes]:
        """Those of a header: several, between spaces, while a key is changed."""
        found = []
        for word in header.split()[:_MOST_SIGNATURES]:
            if not word.startswith(self._settings.signature_prefix):
                continue
            text = word.removeprefix(self._settings.signature_prefix)
            try:
                given = bytes.fromhex(text) if self._settings.signature_encoding == "hex" else _base64(text)
            except ValueError:
                continue
            if len(given) == hashlib.sha256().digest_size:
                found.append(given)
        return found


def keys_of(secrets: Sequence[tuple[str, str]], source: str, encoding: str) -> list[bytes]:
    """The keys that a source may sign with.

    Args:
        secrets: (source id, secret) as the file has them; the id is empty where every source may use it.
        source: Who signed.
        encoding: `text` or `base64`.

    Raises:
        ConfigError: A secret is no base64.
    """
    found = []
    for bound_to, secret in secrets:
        if bound_to not in ("", source):
            continue
        try:
            found.append(secret.encode() if encoding == "text" else _base64(secret.removeprefix("whsec_")))
        except ValueError as exc:
            raise ConfigError("reading secrets: one is no base64", mend="mend it, or set secret_encoding") from exc
    return found


def _places(signed: str) -> tuple[list[bytes], list[str]]:
    parts = _PLACE.split(signed)
    literals, names = parts[0::2], parts[1::2]
    doubtful = (
        names[-1:] != ["body"]
        or literals[-1]
        or "timestamp" not in names
        or len(set(names)) != len(names)
        or any("{" in literal or "}" in literal for literal in literals)
        or ("id" in names and _ID.fullmatch(literals[names.index("id") + 1] or "x"))
    )
    if doubtful:
        raise ConfigError(f"reading signature scheme: {signed!r} can't be used", where="signed", mend=_MEND)
    return [literal.encode() for literal in literals[:-1]], names


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise ValueError(str(exc)) from exc
