"""A symmetric key of Google Cloud KMS wraps the data keys; it never leaves KMS.

The context (namespace and id of the data key, which begins with its month) is the additional authenticated data: what
was wrapped opens under no other name. CRC32C sums go with each request and are checked in each answer. The primary
version wraps and is named in `Wrapped.kek`; KMS itself tells from a ciphertext which version has to unwrap it.

Needed: roles/cloudkms.cryptoKeyEncrypterDecrypter and roles/cloudkms.viewer on the key; to read alone,
roles/cloudkms.cryptoKeyDecrypter.

https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/encrypt
https://cloud.google.com/kms/docs/data-integrity-guidelines
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import google_crc32c
import requests
from google.api_core import exceptions as google_errors
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import GoogleAuthError, TransportError
from google.cloud.kms_v1 import CryptoKey, CryptoKeyVersion, KeyManagementServiceClient
from google.protobuf.json_format import ParseError

from ingest.schema.errors import ConfigError, SkytrailError, StoreUnavailable
from ingest.transports.google_cloud.access import credentials_of
from storage.datakeys.provider import Wrapped, bound
from storage.datakeys.providers.google_cloud_kms_settings import GoogleCloudKmsSettings
from storage.datakeys.settings import EncryptionSettings

NAME: Final = "google_cloud_kms"
_SCOPE: Final = "https://www.googleapis.com/auth/cloudkms"
_VERSION: Final = "/cryptoKeyVersions/"
_TRIES: Final = 3
# Asked to (GOOGLE_SDK_PYTHON_LOGGING_SCOPE), these write the bodies of requests and answers: data keys in the clear.
_TALKATIVE: Final = (
    "google.cloud.kms_v1.services.key_management_service.transports.rest",
    "google.auth.transport.requests",
)
_PASSING: Final = (
    google_errors.TooManyRequests,
    google_errors.InternalServerError,
    google_errors.BadGateway,
    google_errors.ServiceUnavailable,
    google_errors.GatewayTimeout,
    requests.ConnectionError,
    requests.Timeout,
    TransportError,
)
_ERRORS: Final = (google_errors.GoogleAPICallError, google_errors.RetryError, GoogleAuthError, ParseError)
_STATES: Final = {  # longer names first: DESTROYED is no part of DESTROY_SCHEDULED, but DISABLED may stand beside it
    "DESTROY_SCHEDULED": "keep it from being destroyed: `gcloud kms keys versions restore`, then `… enable`",
    "DESTROYED": "it is lost for ever, and with it what it wrapped: docs/runbook.md#a-wrapping-key-is-lost-or-leaked",
    "DISABLED": "enable this version: `gcloud kms keys versions enable`",
    "PENDING": "this version is still being made: wait",
}
_ROLES: Final = (
    "grant our identity roles/cloudkms.cryptoKeyEncrypterDecrypter and roles/cloudkms.viewer on this key "
    "(cloudkms.cryptoKeys.get, cryptoKeyVersions.useToEncrypt, .useToDecrypt)"
)


class GoogleCloudKmsProvider:
    """See the head of this module.

    Args:
        settings: Which key, and as whom we ask.
    """

    name = NAME

    def __init__(self, settings: GoogleCloudKmsSettings) -> None:
        self._settings = settings
        self._trusted = (settings.key, *settings.former_keys)
        self._client: Any = None
        self._current = ""
        again = Retry(
            predicate=if_exception_type(*_PASSING), initial=0.2, maximum=3, timeout=settings.request_timeout_s
        )
        self._how: dict[str, Any] = {"timeout": settings.request_timeout_s, "retry": again}

    def current(self) -> str:
        """See `KeyProvider.current`: name of the primary version."""
        if not self._current:
            with _explained("read the wrapping key", self._settings.key):
                found = self._connected().get_crypto_key(request={"name": self._settings.key}, **self._how)
            for wrong, mend in _faults(found):
                raise ConfigError(f"reading the wrapping key: {wrong}", where=self._settings.key, mend=mend)
            self._current = str(found.primary.name)
        return self._current

    def wrap(self, key: bytes, context: Mapping[str, str]) -> Wrapped:
        """See `KeyProvider.wrap`."""
        asked = {"name": self._settings.key, "plaintext": key, "plaintext_crc32c": _crc(key), **_associated(context)}

        def whole(answer: Any) -> bool:
            return bool(
                answer.verified_plaintext_crc32c
                and answer.verified_additional_authenticated_data_crc32c
                and answer.ciphertext_crc32c == _crc(answer.ciphertext)
            )

        answer = self._sound("wrap a data key", self._settings.key, "encrypt", asked, whole)
        kek = str(answer.name)
        if kek.rpartition(_VERSION)[0] != self._settings.key:
            mend = "this is no answer of Cloud KMS: check what stands between"
            raise ConfigError("wrapping a data key: another key answered", where=kek, mend=mend)
        self._current = kek  # the primary version may have changed
        return Wrapped(kek, answer.ciphertext)

    def unwrap(self, wrapped: Wrapped, context: Mapping[str, str]) -> bytes:
        """See `KeyProvider.unwrap`."""
        key = wrapped.kek.rpartition(_VERSION)[0]
        if key not in self._trusted:
            raise ConfigError(
                "unwrapping a data key: it is wrapped by a key that the settings do not name",
                where=wrapped.kek,
                mend=f"add it to archive.encryption.{NAME}.former_keys if it ever wrapped; else the table was changed",
            )
        body = wrapped.body
        asked = {"name": key, "ciphertext": body, "ciphertext_crc32c": _crc(body), **_associated(context)}

        def whole(answer: Any) -> bool:
            return bool(answer.plaintext_crc32c == _crc(answer.plaintext))

        plain: bytes = self._sound("unwrap a data key", wrapped.kek, "decrypt", asked, whole).plaintext
        return plain

    def ready(self) -> None:
        """See `KeyProvider.ready`."""
        self._current = ""
        self.current()

    def renew(self) -> None:
        """See `KeyProvider.renew`: versions are made in KMS (`gcloud kms keys versions create --primary`)."""
        self._current = ""

    def _sound(
        self, doing: str, where: str, operation: str, asked: dict[str, Any], whole: Callable[[Any], bool]
    ) -> Any:
        """The answer to a call; made again where sums tell that request or answer were damaged on the way."""
        for _ in range(_TRIES):
            with _explained(doing, where):
                answer = getattr(self._connected(), operation)(request=asked, **self._how)
            if whole(answer):
                return answer
        raise StoreUnavailable(
            f"asking Cloud KMS to {doing}: CRC32C sums do not match: it was damaged on the way, {_TRIES} times",
            where=where,
            mend="it is asked again; if this stays, look for a proxy that changes bodies, or memory that fails",
        )

    def _connected(self) -> Any:
        if self._client is None:
            for name in _TALKATIVE:
                logging.getLogger(name).setLevel(logging.INFO)
            options = {"api_endpoint": self._settings.endpoint} if self._settings.endpoint else None
            self._client = KeyManagementServiceClient(
                credentials=credentials_of(self._settings.credentials_file, _SCOPE),
                transport="rest",
                client_options=options,
            )
        return self._client


def open_provider(settings: EncryptionSettings, state_dir: Path) -> GoogleCloudKmsProvider:
    """The provider of the settings."""
    del state_dir
    return GoogleCloudKmsProvider(settings.own(NAME, GoogleCloudKmsSettings))


def _crc(body: bytes) -> int:
    return int(google_crc32c.value(body))


def _associated(context: Mapping[str, str]) -> dict[str, Any]:
    data = bound(context)
    return {"additional_authenticated_data": data, "additional_authenticated_data_crc32c": _crc(data)}


def _faults(key: Any) -> Iterator[tuple[str, str]]:
    """Why this key can't wrap, and what to do."""
    if key.purpose != CryptoKey.CryptoKeyPurpose.ENCRYPT_DECRYPT:
        yield "it is not for symmetric encryption", "make one: `gcloud kms keys create --purpose encryption`"
    if not key.primary.name:
        yield "it has no primary version", "`gcloud kms keys update --primary-version`"
    state = CryptoKeyVersion.CryptoKeyVersionState(key.primary.state).name
    if state != "ENABLED":
        yield f"the state of its primary version is {state}", _mend_of_state(state)


@contextmanager
def _explained(doing: str, where: str) -> Iterator[None]:
    """What Google says, as an error of ours. What may pass was asked several times before."""
    try:
        yield
    except (*_ERRORS, requests.RequestException) as exc:
        raise _meaning(f"asking Cloud KMS to {doing}", where, exc) from exc


def _meaning(doing: str, where: str, error: Exception) -> SkytrailError:
    cause = error.cause if isinstance(error, google_errors.RetryError) and error.cause is not None else error
    what = f"{doing}: {type(cause).__name__}: {cause}"
    if isinstance(cause, google_errors.TooManyRequests):
        mend = "the quota of Cloud KMS is used up: it is asked again; raise the quota cryptographic requests"
        return StoreUnavailable(what, where=where, mend=mend)
    if isinstance(cause, google_errors.Unauthorized) or (
        isinstance(cause, GoogleAuthError) and not isinstance(cause, TransportError)
    ):
        mend = (
            f"the credentials are refused: give others in archive.encryption.{NAME}.credentials_file, or on the machine"
        )
        return ConfigError(what, where=where, mend=mend)
    if isinstance(cause, google_errors.Forbidden):
        off = cause.reason == "SERVICE_DISABLED"
        return ConfigError(
            what, where=where, mend="`gcloud services enable cloudkms.googleapis.com`" if off else _ROLES
        )
    if isinstance(cause, google_errors.NotFound):
        return ConfigError(what, where=where, mend="correct the name of the key: keys of KMS are never deleted")
    if isinstance(cause, google_errors.BadRequest):
        return ConfigError(what, where=where, mend=_mend_of_state(str(cause)))
    return StoreUnavailable(what, where=where, mend="it is asked again; check the network and the state of Cloud KMS")


def _mend_of_state(told: str) -> str:
    """What to do about the state of a version that a text names, else about a wrapping that does not open."""
    for state, mend in _STATES.items():
        if state in told:
            return mend
    return "the wrapping was changed, or made under another name: restore the key table from its newest backup"
