"""Who may send, and what is refused at start."""

from __future__ import annotations

import ssl

from ingest.loopback import is_loopback
from ingest.schema.errors import ConfigError
from ingest.transports.endpoint.access import tls_context
from ingest.transports.syslog.settings import SyslogSettings


def context_of(settings: SyslogSettings) -> ssl.SSLContext | None:
    """The TLS context; None for plain TCP on loopback.

    Raises:
        ConfigError: It would be unsafe, or a file can't be read.
    """
    context = tls_context(settings)
    if context is None:
        _refuse_plain(settings)
        return None
    # A sender that never reads leaves tickets unread: its close is then a reset, which destroys what is under way.
    context.num_tickets = 0
    if settings.client_certificates == "none":
        if settings.client_ca_file:
            raise _unsafe(
                "there is an authority of certificates that nobody asks for",
                "client_certificates",
                "set it to `optional` or `required`",
            )
        return context
    if settings.client_ca_file is None:
        mend = "set client_ca_file; or client_certificates to `none`, if a firewall decides who may write logs"
        raise _unsafe("anybody could write logs", "client_ca_file", mend)
    if settings.client_certificates == "optional":
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _refuse_plain(settings: SyslogSettings) -> None:
    if not settings.allow_plain_tcp:
        mend = "set both; on loopback alone allow_plain_tcp is accepted instead"
        raise _unsafe("there is no certificate", "certificate_file, key_file", mend)
    if not is_loopback(settings.host):
        mend = "set certificate_file and key_file, or listen on 127.0.0.1"
        raise _unsafe("plain TCP beyond loopback would show events to the network", f"host {settings.host}", mend)
    if settings.client_certificates != "none":
        raise _unsafe("client certificates need TLS", "client_certificates", "set client_certificates to `none`")


def _unsafe(what: str, where: str, mend: str) -> ConfigError:
    return ConfigError(f"opening receiver: {what}", where=where, mend=mend)
