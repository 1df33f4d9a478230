"""Who may post to an endpoint: bearer tokens, client certificates, and what is refused at start."""

from __future__ import annotations

import hashlib
import hmac
import ssl
from collections.abc import Callable
from pathlib import Path

from ingest.loopback import is_loopback
from ingest.schema.errors import ConfigError, SkytrailError
from ingest.transports.endpoint.secrets import SecretFile
from ingest.transports.endpoint.settings import EndpointSettings, ListenerSettings

_SCHEME = "bearer "


class Tokens:
    """The accepted bearer tokens of a file, as `SecretFile` reads it.

    Args:
        file: Read at once.
        warn: Hears that a changed file can't be used.

    Raises:
        ConfigError: The file can't be read or holds no usable token.
    """

    def __init__(self, file: Path, warn: Callable[[SkytrailError], None]) -> None:
        self._secrets = SecretFile(file, warn, what="tokens")

    def allow(self, source: str, authorization: str) -> bool:
        """Whether this `Authorization` header may post for this source; takes the same time for every token."""
        return self.accept(
            source, authorization[len(_SCHEME) :].strip() if authorization.lower().startswith(_SCHEME) else ""
        )

    def accept(self, source: str, token: str) -> bool:
        """Whether a token may post for this source; takes the same time for every token."""
        digest = _digest(token)
        allowed = False
        for bound_to, accepted in self._secrets.accepted():
            same = hmac.compare_digest(digest, _digest(accepted))
            allowed |= same and bound_to in ("", source)
        return allowed


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def refuse_unsafe(settings: EndpointSettings, token_file: Path | None) -> None:
    """Refuse to listen for everybody, or in the clear beyond this machine.

    Raises:
        ConfigError: With what to set.
    """
    if token_file is None and settings.client_ca_file is None:
        raise ConfigError(
            "opening endpoint: anybody could post",
            where="token_file, client_ca_file",
            mend="set one of them: a file of bearer tokens, or the authority of client certificates",
        )
    if settings.certificate_file and settings.key_file:
        return
    if not settings.allow_plain_http:
        raise ConfigError(
            "opening endpoint: there is no certificate",
            where="certificate_file, key_file",
            mend="set both; on loopback alone allow_plain_http is accepted instead",
        )
    if not is_loopback(settings.host):
        raise ConfigError(
            "opening endpoint: plain HTTP beyond loopback would show tokens and events to the network",
            where=f"host {settings.host}",
            mend="set certificate_file and key_file, or listen on 127.0.0.1",
        )
    if settings.client_ca_file:
        raise ConfigError(
            "opening endpoint: client certificates need TLS",
            where="client_ca_file",
            mend="set certificate_file and key_file",
        )


def tls_context(settings: ListenerSettings) -> ssl.SSLContext | None:
    """The server's TLS context; None for plain HTTP.

    Raises:
        ConfigError: A file can't be read or does not fit.
    """
    if not (settings.certificate_file and settings.key_file):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.certificate_file, settings.key_file)
        if settings.client_ca_file:
            context.load_verify_locations(settings.client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(
            f"reading certificates: {exc}",
            where=", ".join(
                str(f) for f in (settings.certificate_file, settings.key_file, settings.client_ca_file) if f
            ),
            mend="check that they are PEM, belong together, and that this user may read them",
        ) from exc
    return context
