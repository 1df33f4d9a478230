"""Whether a Docker engine answers here, and what every container-based test needs of it."""

from __future__ import annotations

import functools
import shutil
import socket
import subprocess

KAFKA_IMAGE = "apache/kafka:4.1.1"
ELASTICSEARCH_IMAGE = "docker.elastic.co/elasticsearch/elasticsearch:8.19.8"


@functools.cache
def missing() -> str:
    """Why no container can be started here; empty when one can."""
    docker = shutil.which("docker")
    if docker is None:
        return "there is no docker command"
    for arguments, what in ((["version"], "no Docker engine answers"), (["compose", "version"], "no docker compose")):
        asked = subprocess.run([docker, *arguments], capture_output=True, timeout=30, check=False)
        if asked.returncode:
            return f"{what}: {asked.stderr.decode(errors='replace').strip()[-200:]}"
    return ""


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody uses now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()
