"""Credentials of Google Cloud, and what its errors mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import google.auth
import google.auth.exceptions
from google.api_core import exceptions as google_errors

from ingest.schema.errors import ConfigError, SkytrailError, SourceRefused, SourceUnavailable

_MEND_CREDENTIALS = (
    "give a usable credentials_file; on Google Cloud attach a service account, elsewhere `gcloud auth "
    "application-default login` or a workload identity"
)


def credentials_of(file: Path | None, scope: str) -> Any:
    """Credentials from a file, else from the machine.

    Raises:
        SourceRefused: There are none.
        ConfigError: The file can't be read or holds none.
    """
    try:
        if file is None:
            return google.auth.default(scopes=[scope])[0]
        return google.auth.load_credentials_from_file(str(file), scopes=[scope])[0]
    except (google.auth.exceptions.GoogleAuthError, OSError, ValueError) as exc:
        what = f"reading credentials: {type(exc).__name__}: {exc}"
        if file is None:
            raise SourceRefused(what, mend=_MEND_CREDENTIALS) from exc
        raise ConfigError(what, where=f"credentials_file {file}", mend=_MEND_CREDENTIALS) from exc


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
