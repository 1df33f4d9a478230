"""Exit codes, the same for every command, and which error ends with which."""

from __future__ import annotations

from enum import IntEnum

from ingest.schema.errors import (
    ConfigError,
    IntegrityError,
    Refused,
    RejectedRecord,
    SkytrailError,
    TransientError,
)

_DENIED = (
    *("security_exception", "authentication", "unauthorized", "topicauthorization", "permission", "credential"),
    *("accessdenied", "access denied", "not authorized"),
    *("invalidaccesskeyid", "invalidclienttokenid", "unrecognizedclient", "signaturedoesnotmatch", "expiredtoken"),
)


class Exit(IntEnum):
    """What a command's exit code means."""

    OK = 0
    FINDINGS = 1
    """Findings that were asked to fail, verification failed, not caught up."""
    BAD_INPUT = 2
    """Bad rule or bad input data."""
    CONFIG = 3
    """Configuration, usage or connection."""
    DENIED = 4
    """Authentication or authorisation."""
    INCOMPLETE = 5
    """Nothing wrong was found, but not all could be checked."""
    INTERRUPTED = 130


def exit_of(error: SkytrailError) -> Exit:
    """The exit code of an error."""
    if isinstance(error, Refused) or _is_denial(error):
        return Exit.DENIED
    if isinstance(error, RejectedRecord):
        return Exit.BAD_INPUT
    if isinstance(error, IntegrityError):
        return Exit.FINDINGS
    assert isinstance(error, ConfigError | TransientError | SkytrailError)
    return Exit.CONFIG


def _is_denial(error: SkytrailError) -> bool:
    """Whether a server refused our identity: such errors keep their branch (retry), but a person must know."""
    text = error.what.lower()
    return any(word in text for word in _DENIED)
