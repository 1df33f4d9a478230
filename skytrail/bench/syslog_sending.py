"""Writes a file of framed syslog messages to a TLS receiver: the sender of a measurement, as a process of its own."""

from __future__ import annotations

import socket
import ssl
import sys
from pathlib import Path

_PATIENCE_S = 600.0


def send(port: int, certificate_file: Path, frames: bytes) -> None:
    """Write all, then say so and wait until the receiver has said the same.

    Args:
        certificate_file: The receiver's certificate.
    """
    context = ssl.create_default_context(cafile=str(certificate_file))
    with (
        socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        connection.sendall(frames)
        connection.unwrap()


if __name__ == "__main__":
    where, certificate, messages = sys.argv[1:]
    send(int(where), Path(certificate), Path(messages).read_bytes())
