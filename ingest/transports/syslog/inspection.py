"""A look at the certificates of the receiver before it starts."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.transports.contract import Finding
from ingest.transports.syslog.access import context_of
from ingest.transports.syslog.settings import SyslogSettings


def inspect(settings: SyslogSettings) -> Iterator[Finding]:
    """Whether it could listen, and for whom.

    Raises:
        ConfigError: It could not, or for everybody without that being asked for.
    """
    context_of(settings)
    found = f"listens on {settings.host}:{settings.port}"
    secrets = (settings.key_file,) if settings.key_file else ()
    if settings.client_certificates == "none":
        yield Finding("warn", f"{found}, for everybody who reaches it", "ask for client certificates", False, secrets)
    else:
        yield Finding("ok", found, secret_files=secrets)
