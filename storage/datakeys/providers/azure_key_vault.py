"""An RSA key of Azure Key Vault (or of a managed HSM) wraps the data keys; its private half never leaves the vault.

Wrapping is RSA-OAEP-256 with the public half, and Microsoft's library does it here, after the vault was asked for the
newest version and its state. Then the vault unwraps what was wrapped, before anything is sealed under it. RSA takes no
associated data, so what is wrapped is the data key ‖ SHA-256(context); it opens under no other name. The version is
part of `Wrapped.kek`: a key that was rotated goes on to unwrap what its versions wrapped.

Needed: the role Key Vault Crypto Service Encryption User on the key (get, wrapKey, unwrapKey); unwrapKey to read.

https://learn.microsoft.com/rest/api/keyvault/keys/unwrap-key/unwrap-key
https://learn.microsoft.com/azure/key-vault/keys/about-keys-details
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import requests
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.identity import DefaultAzureCredential
from azure.keyvault.keys import KeyClient, KeyOperation, KeyType, KeyVaultKey
from azure.keyvault.keys.crypto import CryptographyClient, KeyWrapAlgorithm
from requests.adapters import HTTPAdapter

from ingest.schema.errors import ConfigError, SkytrailError, StoreUnavailable
from storage.datakeys.provider import Wrapped, bound
from storage.datakeys.providers.azure_key_vault_settings import AzureKeyVaultSettings
from storage.datakeys.settings import EncryptionSettings

NAME: Final = "azure_key_vault"
_KEY_BYTES: Final = 32
_ALGORITHM: Final = KeyWrapAlgorithm.rsa_oaep_256
_AGAIN: Final = frozenset({"GET", "POST"})  # to wrap or unwrap twice changes nothing; the library would not ask again
_TYPES: Final = {KeyType.rsa, KeyType.rsa_hsm}
_OPERATIONS: Final = {KeyOperation.wrap_key, KeyOperation.unwrap_key}
_ROLE: Final = (
    "give our identity the role Key Vault Crypto Service Encryption User on this key (with access policies: the key "
    "permissions get, wrapKey, unwrapKey)"
)
_REFUSALS: Final = {  # the code inside of a refusal (403)
    "KeyDisabled": "enable this version: `az keyvault key set-attributes --enabled true --id <this key>`",
    "KeyNotYetValid": "this version is not valid yet: set its activation date back, or wait",
    "KeyExpired": "this version has expired: make a new one (`az keyvault key rotate`), `skytrail keys data rotate`",
    "ForbiddenByFirewall": "the vault's firewall refuses this address: allow it, or use a private endpoint",
    "ForbiddenByConnection": "the vault takes private endpoints only: reach it through one",
}


class AzureKeyVaultProvider:
    """See the head of this module.

    Args:
        settings: Which key.
        credential: As whom we ask; None: the identity of the machine.
        clock: The present time, with zone.
    """

    name = NAME

    def __init__(
        self,
        settings: AzureKeyVaultSettings,
        credential: TokenCredential | None = None,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._settings = settings
        self._clock = clock
        vault, _, rest = settings.key.partition("/keys/")
        self._key, _, self._version = rest.partition("/")
        own = f"{vault}/keys/{self._key}"
        self._trusted = (own, *settings.former_keys)
        self._options: dict[str, Any] = {
            "credential": credential or DefaultAzureCredential(),
            "retry_total": 3,
            "retry_backoff_max": 5,
            "transport": RequestsTransport(
                session=_to(settings.endpoint) if settings.endpoint else None,
                connection_timeout=settings.request_timeout_s,
                read_timeout=settings.request_timeout_s,
            ),
        }
        self._keys = KeyClient(vault, **self._options)
        self._clients: dict[str, CryptographyClient] = {}
        self._current = ""

    def current(self) -> str:
        """See `KeyProvider.current`: identifier and version."""
        return self._current or str(self._newest().id)

    def wrap(self, key: bytes, context: Mapping[str, str]) -> Wrapped:
        """See `KeyProvider.wrap`. The vault is asked for the newest version each time: there may be a new one."""
        newest = self._newest()
        kek = str(newest.id)
        with _explained("wrap a data key", kek):
            made = self._client(kek).wrap_key(_ALGORITHM, key + _digest(context), retry_on_methods=_AGAIN)
        wrapped = Wrapped(kek, made.encrypted_key)
        if self.unwrap(wrapped, context) != key:
            raise ConfigError("wrapping a data key: Key Vault unwraps something else", where=kek, mend=_ROLE)
        return wrapped

    def unwrap(self, wrapped: Wrapped, context: Mapping[str, str]) -> bytes:
        """See `KeyProvider.unwrap`; at the vault, with the version that wrapped."""
        identifier, _, version = wrapped.kek.rpartition("/")
        if identifier not in self._trusted or not version.isalnum():
            raise ConfigError(
                "unwrapping a data key: it is wrapped by a key that the settings do not name",
                where=wrapped.kek,
                mend=f"add it to archive.encryption.{NAME}.former_keys if it ever wrapped; else the table was changed",
            )
        with _explained("unwrap a data key", wrapped.kek):
            plain = self._client(wrapped.kek).unwrap_key(_ALGORITHM, wrapped.body, retry_on_methods=_AGAIN).key or b""
        key, told = plain[:_KEY_BYTES], plain[_KEY_BYTES:]
        if not hmac.compare_digest(told, _digest(context)):
            raise ConfigError(
                "unwrapping a data key: it was wrapped under another name (namespace, id)",
                where=wrapped.kek,
                mend="restore the key table from its newest backup: entries were exchanged",
            )
        return key

    def ready(self) -> None:
        """See `KeyProvider.ready`."""
        self._newest()

    def renew(self) -> None:
        """See `KeyProvider.renew`: versions are made in the vault (`az keyvault key rotate`); the newest is used."""
        self._current = ""

    def _client(self, kek: str) -> CryptographyClient:
        """The client of a version, which stays: it asks for the public half once, and keeps its token."""
        if kek not in self._clients:
            self._clients[kek] = CryptographyClient(kek, **self._options)
        return self._clients[kek]

    def _newest(self) -> KeyVaultKey:
        """The version that wraps now, in a state in which it may."""
        with _explained("read the wrapping key", self._settings.key):
            found = self._keys.get_key(self._key, self._version or None)
        where = str(found.id)
        for wrong, mend in self._faults(found):
            raise ConfigError(f"reading the wrapping key: {wrong}", where=where, mend=mend)
        self._current = where
        return found

    def _faults(self, key: KeyVaultKey) -> Iterator[tuple[str, str]]:
        """Why this key must not wrap, and what to do."""
        own, now = key.properties, self._clock()
        if str(key.id).rpartition("/")[0] != self._trusted[0]:
            yield "the vault answered with another key", f"check archive.encryption.{NAME}.key"
        if key.key_type not in _TYPES:
            yield "it is no RSA key", "make one: `az keyvault key create --kty RSA`"
        if not own.enabled:
            yield "it is disabled", _REFUSALS["KeyDisabled"]
        if own.not_before is not None and now < own.not_before:
            yield f"it is not valid before {own.not_before.isoformat()}", _REFUSALS["KeyNotYetValid"]
        if own.expires_on is not None and now >= own.expires_on:
            yield f"it expired at {own.expires_on.isoformat()}", _REFUSALS["KeyExpired"]
        if not set(key.key_operations) >= _OPERATIONS:
            yield (
                "it may not wrap and unwrap",
                "`az keyvault key set-attributes --ops wrapKey unwrapKey --id <this key>`",
            )
        if own.exportable:
            yield "its private half can be exported", "use a key that was made without --exportable"
        if "purgeable" in str(own.recovery_level or "Purgeable").lower():
            yield (
                "who deletes it can purge it at once, and with it all that is sealed",
                "`az keyvault update --enable-purge-protection true --name <vault>`",
            )


def open_provider(settings: EncryptionSettings, state_dir: Path) -> AzureKeyVaultProvider:
    """The provider of the settings."""
    del state_dir
    return AzureKeyVaultProvider(settings.own(NAME, AzureKeyVaultSettings))


def _digest(context: Mapping[str, str]) -> bytes:
    return hashlib.sha256(bound(context)).digest()


class _Loopback(HTTPAdapter):
    """Sends what is for a vault to a server of tests; above it nothing differs from the real road."""

    def __init__(self, endpoint: str) -> None:
        super().__init__()
        self._endpoint = endpoint

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        """Send it, to another address."""
        path = str(request.url).partition("://")[2].partition("/")[2]
        request.url = f"{self._endpoint}/{path}"
        return super().send(request, *arguments, **options)


def _to(endpoint: str) -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # no proxy between us and loopback
    session.mount("https://", _Loopback(endpoint))
    return session


@contextmanager
def _explained(doing: str, where: str) -> Iterator[None]:
    """What Azure says, as an error of ours. The library has asked four times before."""
    try:
        yield
    except (AttributeError, TypeError) as exc:  # the library stumbles over JSON that is no key
        mend = "it is asked again; look for a proxy that answers in place of Key Vault"
        raise StoreUnavailable(f"asking Key Vault to {doing}: no answer of a vault", where=where, mend=mend) from exc
    except (AzureError, ValueError) as exc:
        raise _meaning(f"asking Key Vault to {doing}", where, exc) from exc


def _meaning(doing: str, where: str, error: Exception) -> SkytrailError:
    status = error.status_code if isinstance(error, HttpResponseError) else None
    what = f"{doing}: {_told(error)}"
    if isinstance(error, ClientAuthenticationError):
        mend = "no token for Key Vault: give the machine a managed or workload identity, or `az login`"
        return ConfigError(what, where=where, mend=mend)
    if status is None and isinstance(error, ValueError):
        return ConfigError(what, where=where, mend="is this the vault? It answered as none does: check name resolution")
    match status:
        case 401 | 403:
            return ConfigError(what, where=where, mend=_REFUSALS.get(_inner_code(error), _ROLE))
        case 404:
            mend = "correct the name; if it was deleted: `az keyvault key recover`, which a purged key can't"
            return ConfigError(what, where=where, mend=mend)
        case 400:
            mend = "the wrapping was changed, or made by another key: restore the key table from its newest backup"
            return ConfigError(what, where=where, mend=mend)
        case 429:
            mend = "Key Vault is throttled: it is asked again; other users of this vault may need one of their own"
            return StoreUnavailable(what, where=where, mend=mend)
    mend = "it is asked again; check the network, name resolution and the state of Key Vault"
    return StoreUnavailable(what, where=where, mend=mend)


def _told(error: Exception) -> str:
    status = f"{error.status_code} {_inner_code(error)} " if isinstance(error, HttpResponseError) else ""
    return f"{status}{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _inner_code(error: Exception) -> str:
    """The most exact code of an error: the innermost."""
    told: Any = getattr(error, "error", None)
    inner = getattr(told, "innererror", None) or {}
    if "on a disabled key" in str(error):
        return "KeyDisabled"  # not every answer has an inner code
    return str(inner.get("code") or getattr(told, "code", "") or "")
