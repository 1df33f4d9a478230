"""As whom we ask Azure: the identity of the machine, or the connection string in a file.

Without a file azure-identity looks for an identity where the process runs: workload identity, managed identity, a
service principal in the environment, the login of the `az` command. It fetches and refreshes tokens itself.
https://learn.microsoft.com/azure/developer/python/sdk/authentication/credential-chains
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote_plus

from azure.core.credentials import AccessToken
from azure.identity.aio import DefaultAzureCredential

from ingest.schema.errors import ConfigError

_TOKEN_S = 3600


def machine_identity() -> DefaultAzureCredential:
    """The identity of the machine; close it when done."""
    return DefaultAzureCredential()


def connection_string(file: Path) -> str:
    """The connection string in a file.

    Raises:
        ConfigError: The file can't be read, or holds something else.
    """
    try:
        text = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(
            f"reading connection string: {exc}", where=str(file), mend="give this user the right to read it"
        ) from exc
    if "=" not in text or "\n" in text:
        mend = "put the connection string there, on one line, and nothing else"
        raise ConfigError("reading connection string: this is none", where=str(file), mend=mend)
    return text


def parts_of(text: str) -> Mapping[str, str]:
    """The parts of a connection string by their names in lower case."""
    pairs = (part.partition("=") for part in text.split(";") if part)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


class SharedAccess:
    """Tokens of Event Hubs made of a connection string, which is read again for each: a changed key needs no restart.

    A string with a `SharedAccessSignature` gives that one until it expires.
    https://learn.microsoft.com/azure/event-hubs/authenticate-shared-access-signature

    Args:
        file: Holds the connection string.
        now: Seconds since 1970.

    Attributes:
        token_type: Tells azure-eventhub that these are no tokens of Entra.
    """

    token_type = b"servicebus.windows.net:sastoken"

    def __init__(self, file: Path, now: Callable[[], float]) -> None:
        self._file = file
        self._now = now

    async def get_token(self, *scopes: str, **_options: Any) -> AccessToken:
        """A token for an address (`sb://…`).

        Raises:
            ConfigError: The file is gone or holds something else.
        """
        parts = parts_of(connection_string(self._file))
        given = parts.get("sharedaccesssignature")
        if given:
            expiry = parse_qs(given.partition(" ")[2]).get("se", ["0"])[0]
            return AccessToken(given, int(expiry))
        expires = int(self._now()) + _TOKEN_S
        address = quote_plus(scopes[0])
        signed = f"{address}\n{expires}".encode()
        digest = hmac.new(parts.get("sharedaccesskey", "").encode(), signed, hashlib.sha256).digest()
        signature = quote_plus(base64.b64encode(digest))
        policy = parts.get("sharedaccesskeyname", "")
        return AccessToken(f"SharedAccessSignature sr={address}&sig={signature}&se={expires}&skn={policy}", expires)

    async def close(self) -> None:
        """Nothing is held."""
