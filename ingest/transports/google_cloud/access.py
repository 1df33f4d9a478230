"""Credentials of Google Cloud, and what its errors mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import google.auth
import google.auth.exceptions
import msgspec
from google.api_core import exceptions as google_errors
from google.auth import aws, identity_pool
from google.oauth2 import credentials as user
from google.oauth2 import service_account

from ingest.schema.errors import ConfigError, SkytrailError, SourceRefused, SourceUnavailable

_MEND_CREDENTIALS = (
    "give a usable credentials_file; on Google Cloud attach a service account, elsewhere `gcloud auth "
    "application-default login` or a workload identity"
)


# Their makers have no types.
_ServiceAccount: Any = service_account.Credentials
_User: Any = user.Credentials
_AWS_SUBJECT = "urn:ietf:params:aws:token-type:aws4_request"


def credentials_of(file: Path | None, scope: str) -> Any:
    """Credentials from a file, else from the machine.

    Raises:
        SourceRefused: There are none.
        ConfigError: The file can't be read or holds none.
    """
    if file is not None:
        try:
            return _read(msgspec.json.decode(file.read_bytes(), type=dict[str, Any]), [scope])
        except (google.auth.exceptions.GoogleAuthError, msgspec.MsgspecError, OSError, ValueError) as exc:
            what = f"reading credentials: {type(exc).__name__}: {exc}"
            raise ConfigError(what, where=f"credentials_file {file}", mend=_MEND_CREDENTIALS) from exc
    try:
        return google.auth.default(scopes=[scope])[0]
    except google.auth.exceptions.GoogleAuthError as exc:
        what = f"looking for credentials: {type(exc).__name__}: {exc}"
        raise SourceRefused(what, mend=_MEND_CREDENTIALS) from exc


def inspect_credentials(file: Path | None) -> tuple[Path, ...]:
    """Read the file, if one is set; the files that nobody else should be able to read.

    Raises:
        ConfigError: It can't be read or holds no credentials.
    """
    if file is None:
        return ()
    credentials_of(file, "https://www.googleapis.com/auth/cloud-platform")
    return (file,)


def _read(content: dict[str, Any], scopes: list[str]) -> Any:
    """Credentials of the kinds that start no program: a file could ask for that, too.

    https://cloud.google.com/docs/authentication/external/externally-sourced-credentials
    """
    match content.get("type"):
        case "service_account":
            return _ServiceAccount.from_service_account_info(content, scopes=scopes)
        case "authorized_user":
            return _User.from_authorized_user_info(content, scopes)
        case "external_account" if "executable" not in content.get("credential_source", {}):
            kind = aws if content.get("subject_token_type") == _AWS_SUBJECT else identity_pool
            return kind.Credentials.from_info(content, scopes=scopes)
        case kind:
            raise ValueError(
                f"type {kind!r} is none of service_account, authorized_user and external_account (without executable)"
            )


def meaning(doing: str, exc: BaseException, where: str, *, role: str) -> SkytrailError:
    """An error of Google's clients as one of ours: refused for good, or away.

    Args:
        role: What our identity needs, in Google's words.
    """
    what = f"{doing}: {type(exc).__name__}: {exc}"
    if isinstance(exc, google_errors.Unauthenticated | google_errors.Unauthorized):
        return SourceRefused(what, where=where, mend=f"the credentials are refused: {_MEND_CREDENTIALS}")
    if isinstance(exc, google.auth.exceptions.TransportError):
        return SourceUnavailable(what, where=where)
    if isinstance(exc, google.auth.exceptions.GoogleAuthError):
        return SourceRefused(what, where=where, mend=f"the credentials expired or were revoked: {_MEND_CREDENTIALS}")
    if isinstance(exc, google_errors.Forbidden):
        return SourceRefused(what, where=where, mend=f"permission is denied: grant our identity {role}")
    if isinstance(exc, google_errors.NotFound):
        return SourceRefused(what, where=where, mend="it does not exist: correct the name, or create it")
    if isinstance(exc, google_errors.FailedPrecondition | google_errors.BadRequest):
        return SourceRefused(what, where=where, mend="correct the settings of the source or of the subscription")
    return SourceUnavailable(what, where=where)
