"""A look at port and files of the endpoint before a collector starts."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.transports.contract import Finding
from ingest.transports.endpoint.access import Tokens, refuse_unsafe, tls_context
from ingest.transports.firehose.settings import FirehoseSettings

_PORT = 443


def inspect(settings: FirehoseSettings) -> Iterator[Finding]:
    """Whether the files can be used, and whether Firehose can reach the port.

    Raises:
        ConfigError: A file can't be used, or listening would be unsafe.
    """
    refuse_unsafe(settings, settings.access_key_file)
    tls_context(settings)
    Tokens(settings.access_key_file, lambda _error: None)
    secrets = tuple(file for file in (settings.access_key_file, settings.key_file) if file is not None)
    if settings.port != _PORT:
        mend = f"forward port {_PORT} of a public name to it, or listen on {_PORT}"
        found = f"listens on {settings.host}:{settings.port}; Firehose delivers to port {_PORT} alone"
        yield Finding("warn", found, mend, secret_files=secrets)
    else:
        yield Finding("ok", f"listens on {settings.host}:{settings.port}", secret_files=secrets)
