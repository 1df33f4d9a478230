"""A vault as Microsoft documents Key Vault's REST interface, as far as keys are read and unwrap; and its identity.

The first request of a client gets the challenge for authentication (401), every other one needs the token that the
identity endpoint of App Service gave. Keys are RSA, with real private halves. That the real service does the same is
not proven by it.

https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses
https://learn.microsoft.com/rest/api/keyvault/keys/get-key/get-key
https://learn.microsoft.com/rest/api/keyvault/keys/unwrap-key/unwrap-key
https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
"""

from __future__ import annotations

import base64
import functools
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.keyvault.keys._shared import http_challenge_cache
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.doubles.serving import Answer, Double, Request

VAULT = "https://acme.vault.azure.net"
KEY = f"{VAULT}/keys/archive"
TOKEN = "token-of-the-double"
_RESOURCE = "https://vault.azure.net"
_OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


@functools.cache
def _private(_number: int) -> rsa.RSAPrivateKey:
    """Making one takes a while: the same for all tests."""
    return rsa.generate_private_key(65537, 2048)


@dataclass
class Version:
    """One version of a key."""

    private: rsa.RSAPrivateKey
    enabled: bool = True
    told: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: secrets.token_hex(16))

    def bundle(self, identifier: str) -> dict[str, Any]:
        numbers = self.private.public_key().public_numbers()
        key = {
            "kid": f"{identifier}/{self.id}",
            "kty": "RSA",
            "key_ops": ["wrapKey", "unwrapKey"],
            "n": _encoded(numbers.n.to_bytes(256, "big")),
            "e": _encoded(numbers.e.to_bytes(3, "big")),
        }
        attributes = {"enabled": self.enabled, "recoveryLevel": "Recoverable", "created": 1, "updated": 1}
        return {"key": key | self.told, "attributes": attributes | self.attributes}


@dataclass
class KeyVault(Double):
    """See the head of this module.

    Attributes:
        granted: Key permissions of whoever asks.
        deleted: Whether the key was deleted.
        resource: For whom tokens are, as the challenge says.
        tokens: How many were given.
    """

    versions: list[Version] = field(default_factory=lambda: [Version(_private(0))])
    granted: set[str] = field(default_factory=lambda: {"get", "wrapKey", "unwrapKey"})
    deleted: bool = False
    resource: str = _RESOURCE
    tokens: int = 0

    def rotate(self) -> Version:
        """Make a new version: the newest."""
        self.versions.append(Version(_private(len(self.versions))))
        return self.versions[-1]

    def answer(self, request: Request) -> Answer:
        url = urlsplit(request.path)
        if request.path.startswith(self.token_path):
            return self._token(parse_qs(url.query), request.headers)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            told = f'Bearer authorization="https://login.microsoftonline.com/{"0" * 8}", resource="{self.resource}"'
            return Answer(401, _error("Unauthorized", "no token"), {"WWW-Authenticate": told})
        assert "api-version" in parse_qs(url.query)
        match request.method, url.path.strip("/").split("/"):
            case "GET", ["keys", "archive", *rest]:
                return self._get(rest[0] if rest and rest[0] else self.versions[-1].id)
            case "POST", ["keys", "archive", version, "wrapkey"]:
                return self._wrap(version, json.loads(request.body))
            case "POST", ["keys", "archive", version, "unwrapkey"]:
                return self._unwrap(version, json.loads(request.body))
        return Answer(404, _error("KeyNotFound", "A key with (name/id) this was not found in this key vault."))

    def _token(self, query: dict[str, list[str]], headers: dict[str, str]) -> Answer:
        if headers.get("x-identity-header") != "secret" or query.get("resource") != [_RESOURCE]:
            return Answer(400, {"statusCode": 400, "message": f"no token for {query}"})
        self.tokens += 1
        told = {"access_token": TOKEN, "expires_on": str(int(time.time()) + 3600), "token_type": "Bearer"}
        return Answer(200, told | {"resource": _RESOURCE})

    def _get(self, version: str) -> Answer:
        if "get" not in self.granted:
            return _forbidden("get")
        found = self._version(version)
        if isinstance(found, Answer):
            return found
        return Answer(200, found.bundle(KEY))

    def _wrap(self, version: str, asked: dict[str, str]) -> Answer:
        if "wrapKey" not in self.granted:
            return _forbidden("wrapKey")
        found = self._version(version)
        if isinstance(found, Answer):
            return found
        body = found.private.public_key().encrypt(_decoded(asked["value"]), _OAEP)
        return Answer(200, {"kid": f"{KEY}/{version}", "value": _encoded(body)})

    def _unwrap(self, version: str, asked: dict[str, str]) -> Answer:
        if "unwrapKey" not in self.granted:
            return _forbidden("unwrapKey")
        found = self._version(version)
        if isinstance(found, Answer):
            return found
        if not found.enabled:
            told = "Operation unwrapKey is not allowed on a disabled key."
            return Answer(403, _error("Forbidden", told, "KeyDisabled"))
        if asked["alg"] != "RSA-OAEP-256":
            return Answer(400, _error("BadParameter", "Property  has invalid value"))
        try:
            plain = found.private.decrypt(_decoded(asked["value"]), _OAEP)
        except ValueError:
            return Answer(400, _error("BadParameter", "The parameter is incorrect."))
        return Answer(200, {"kid": f"{KEY}/{version}", "value": _encoded(plain)})

    def _version(self, version: str) -> Version | Answer:
        found = next((each for each in self.versions if each.id == version), None)
        if found is None or self.deleted:
            return Answer(404, _error("KeyNotFound", f"A key with (name/id) archive/{version} was not found."))
        return found


@contextmanager
def key_vault(monkeypatch: pytest.MonkeyPatch, vault: KeyVault | None = None) -> Iterator[KeyVault]:
    """A vault, and the identity of a machine that has it."""
    double = vault or KeyVault()
    http_challenge_cache.clear()  # the library keeps challenges for the whole process
    with double.running():
        for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{double.address}{double.token_path[:-1]}")
        monkeypatch.setenv("IDENTITY_HEADER", "secret")
        yield double


def throttled(**headers: str) -> Answer:
    return Answer(
        429,
        _error("Throttled", "Request was not processed because too many requests were received."),
        headers,
    )


def refused(inner: str) -> Answer:
    return Answer(403, _error("Forbidden", "It is forbidden.", inner))


def _forbidden(operation: str) -> Answer:
    told = f"Caller is not authorized to perform action on resource.\r\nAction: '{operation}'"
    return Answer(403, _error("Forbidden", told, "ForbiddenByRbac"))


def _error(code: str, message: str, inner: str = "") -> dict[str, Any]:
    return {"error": {"code": code, "message": message, **({"innererror": {"code": inner}} if inner else {})}}


def _encoded(body: bytes) -> str:
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
