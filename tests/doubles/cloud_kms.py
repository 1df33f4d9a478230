"""Cloud KMS as Google documents its REST interface, as far as symmetric keys are read and used.

Tokens are those that a service account signs for itself. Sums (CRC32C) are checked and given as documented. That the
real service does the same is not proven by it.

https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys
https://cloud.google.com/kms/docs/data-integrity-guidelines
https://developers.google.com/identity/protocols/oauth2/service-account#jwt-auth
"""

from __future__ import annotations

import base64
import functools
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import google_crc32c
import jwt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.doubles.serving import Answer, Double, Request

KEY = "projects/acme/locations/europe-west3/keyRings/skytrail/cryptoKeys/archive"
_ACCOUNT = "skytrail@acme.iam.gserviceaccount.com"
_SCOPE = "https://www.googleapis.com/auth/cloudkms"
_GET, _USE = "cloudkms.cryptoKeys.get", "cloudkms.cryptoKeyVersions.useTo"


@dataclass
class CloudKms(Double):
    """See the head of this module.

    Attributes:
        versions: Content of each version, by its number from 1.
        states: State of each version.
        granted: Permissions of whoever asks.
        damage: Fields of answers and what takes their place, each once.
    """

    versions: dict[int, bytes] = field(default_factory=lambda: {1: secrets.token_bytes(32)})
    states: dict[int, str] = field(default_factory=dict)
    purpose: str = "ENCRYPT_DECRYPT"
    without_primary: bool = False
    granted: set[str] = field(default_factory=lambda: {_GET, f"{_USE}Encrypt", f"{_USE}Decrypt"})
    damage: list[dict[str, Any]] = field(default_factory=list)

    @property
    def primary(self) -> int:
        return max(self.versions)

    def rotate(self) -> None:
        """Make a new version: the primary one."""
        self.versions[self.primary + 1] = secrets.token_bytes(32)

    def answer(self, request: Request) -> Answer:
        route = unquote(urlsplit(request.path).path)
        if not _signed(request.headers.get("authorization", "")):
            return error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        name, _, operation = route.removeprefix("/v1/").partition(":")
        if name != KEY:
            return error(404, "NOT_FOUND", f"CryptoKey {name} not found.")
        needed = {"": _GET, "encrypt": f"{_USE}Encrypt", "decrypt": f"{_USE}Decrypt"}[operation]
        if needed not in self.granted:
            told = f"Permission '{needed}' denied on resource '{name}' (or it may not exist)."
            return error(403, "PERMISSION_DENIED", told)
        if not operation:
            return Answer(200, self._key())
        answer = getattr(self, f"_{operation}")(json.loads(request.body))
        if answer.status == 200 and self.damage:
            answer.body.update(self.damage.pop(0))
        return answer

    def _key(self) -> dict[str, Any]:
        primary = {"name": f"{KEY}/cryptoKeyVersions/{self.primary}", "state": self._state(self.primary)}
        return {"name": KEY, "purpose": self.purpose, **({} if self.without_primary else {"primary": primary})}

    def _encrypt(self, asked: dict[str, Any]) -> Answer:
        plain, data = _decoded(asked["plaintext"]), _decoded(asked.get("additionalAuthenticatedData", ""))
        if "plaintextCrc32c" in asked and int(asked["plaintextCrc32c"]) != _crc(plain):
            return error(400, "INVALID_ARGUMENT", "The checksum in field plaintext_crc32c did not match.")
        if self._state(self.primary) != "ENABLED":
            return self._disabled(self.primary)
        nonce = secrets.token_bytes(12)
        sealed = bytes([self.primary]) + nonce + AESGCM(self.versions[self.primary]).encrypt(nonce, plain, data)
        return Answer(
            200,
            {
                "name": f"{KEY}/cryptoKeyVersions/{self.primary}",
                "ciphertext": _encoded(sealed),
                "ciphertextCrc32c": str(_crc(sealed)),
                "verifiedPlaintextCrc32c": "plaintextCrc32c" in asked,
                "verifiedAdditionalAuthenticatedDataCrc32c": "additionalAuthenticatedDataCrc32c" in asked,
                "protectionLevel": "SOFTWARE",
            },
        )

    def _decrypt(self, asked: dict[str, Any]) -> Answer:
        sealed, data = _decoded(asked["ciphertext"]), _decoded(asked.get("additionalAuthenticatedData", ""))
        if "ciphertextCrc32c" in asked and int(asked["ciphertextCrc32c"]) != _crc(sealed):
            return error(400, "INVALID_ARGUMENT", "The checksum in field ciphertext_crc32c did not match.")
        number = sealed[0]
        if number in self.versions and self._state(number) != "ENABLED":
            return self._disabled(number)
        try:
            plain = AESGCM(self.versions[number]).decrypt(sealed[1:13], sealed[13:], data)
        except (InvalidTag, KeyError):
            return error(400, "INVALID_ARGUMENT", "Decryption failed: the ciphertext is invalid.")
        told = {"plaintext": _encoded(plain), "plaintextCrc32c": str(_crc(plain)), "protectionLevel": "SOFTWARE"}
        return Answer(200, told | {"usedPrimary": number == self.primary})

    def _state(self, number: int) -> str:
        return self.states.get(number, "ENABLED")

    def _disabled(self, number: int) -> Answer:
        name = f"{KEY}/cryptoKeyVersions/{number}"
        state = self._state(number)
        kind = {"DISABLED": "KEY_DISABLED", "DESTROYED": "KEY_DESTROYED"}.get(state, f"KEY_{state}")
        failure = {
            "@type": "type.googleapis.com/google.rpc.PreconditionFailure",
            "violations": [{"type": kind, "subject": name}],
        }
        return error(400, "FAILED_PRECONDITION", f"{name} is not enabled, current state is: {state}.", failure)


@contextmanager
def cloud_kms(folder: Path, kms: CloudKms | None = None) -> Iterator[tuple[CloudKms, Path]]:
    """A server, and the file of a service account that it knows."""
    double = kms or CloudKms()
    with double.running():
        file = folder / "google.json"
        account = {
            "type": "service_account",
            "project_id": "acme",
            "private_key_id": "1",
            "private_key": _account_key(),
            "client_email": _ACCOUNT,
            "client_id": "1",
            "token_uri": f"{double.address}/token",
        }
        file.write_text(json.dumps(account))
        file.chmod(0o600)
        yield double, file


def error(status: int, name: str, message: str, *details: dict[str, Any]) -> Answer:
    """An error as Google's interfaces have them."""
    return Answer(status, {"error": {"code": status, "message": message, "status": name, "details": list(details)}})


@functools.cache
def _private() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def _account_key() -> str:
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return _private().private_bytes(serialization.Encoding.PEM, form, none).decode()


def _signed(authorization: str) -> bool:
    """Whether a token was signed by the account, for this service, and is in force."""
    try:
        told = jwt.decode(authorization.removeprefix("Bearer "), _private().public_key(), algorithms=["RS256"])
    except jwt.InvalidTokenError:
        return False
    return told["iss"] == _ACCOUNT and _SCOPE in told.get("scope", "").split()


def _crc(body: bytes) -> int:
    return int(google_crc32c.value(body))


def _encoded(body: bytes) -> str:
    return base64.b64encode(body).decode()


def _decoded(text: str) -> bytes:
    return base64.b64decode(text)
