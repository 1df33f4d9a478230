"""One project of docker-compose.yml under its own name: brought up for a test and removed with its volumes."""

from __future__ import annotations

import base64
import datetime as dt
import http.client
import json
import os
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

from skytrail.init_files import ENVIRONMENT_FILE, write
from tests.integration.docker_engine import free_ports

PROJECT = Path(__file__).parents[2]
WAIT_S = 420


class ComposeProject:
    """A project with generated secrets, free ports and its own name.

    Attributes:
        secrets: Names and values of its `.env`.
    """

    def __init__(self, directory: Path, name: str) -> None:
        write(directory, now=dt.datetime.now(dt.UTC))
        self._directory = directory
        self._name = name
        self._env_file = directory / ENVIRONMENT_FILE
        self.secrets = _read(self._env_file)
        self.kafka_port, self.elasticsearch_port, self.webhook_port = free_ports(3)

    def run(self, *arguments: str, body: bytes | None = None, timeout_s: float = 120) -> str:
        """Run `docker compose`; returns what it printed.

        Raises:
            AssertionError: It failed; the message has its lines.
        """
        ports = {
            "KAFKA_PORT": str(self.kafka_port),
            "ELASTICSEARCH_PORT": str(self.elasticsearch_port),
            "WEBHOOK_PORT": str(self.webhook_port),
            "KAFKA_HEAP": "384m",
            "ELASTICSEARCH_HEAP": "640m",
        }
        command = ["docker", "compose", "-p", self._name, "--env-file", str(self._env_file), *arguments]
        done = subprocess.run(
            command,
            cwd=PROJECT,
            env={**_clean_environment(), **ports},
            capture_output=True,
            timeout=timeout_s,
            check=False,
            input=body or b"",
        )
        told = done.stderr.decode(errors="replace")
        assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{told[-4000:]}"
        return done.stdout.decode()

    def up(self) -> None:
        """Build the image and start engines and roles; returns when everything is healthy."""
        self.run("--profile", "skytrail", "build", timeout_s=600)
        try:
            self.run(
                "--profile", "skytrail", "up", "--detach", "--wait", f"--wait-timeout={WAIT_S}", timeout_s=WAIT_S + 60
            )
        except AssertionError as exc:
            lines = self.run("--profile", "skytrail", "logs", "--no-color", "--tail=25")
            raise AssertionError(f"{exc}\n{lines[-8000:]}") from exc

    def down(self) -> None:
        """Remove containers, networks and volumes; the image stays for the next run."""
        self.run("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "20", timeout_s=180)

    def skytrail(self, *arguments: str, timeout_s: float = 180) -> Any:
        """Run a command of Skytrail in a container; returns the JSON it printed."""
        return json.loads(self.run("run", "--rm", "-T", "cli", *arguments, "-o", "json", timeout_s=timeout_s))

    def skytrail_on_the_host(self, *arguments: str, state: Path) -> Any:
        """Run a command of Skytrail beside the containers, over the published port of Kafka."""
        settings = {
            "SKYTRAIL_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{self.kafka_port}",
            "SKYTRAIL_KAFKA__SECURITY_PROTOCOL": "PLAINTEXT",
            "SKYTRAIL_STATE_DIR": str(state),
        }
        command = [sys.executable, "-m", "skytrail", *arguments, "-o", "json"]
        done = subprocess.run(
            command,
            cwd=PROJECT,
            env={**_clean_environment(), **settings},
            capture_output=True,
            timeout=180,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stderr.decode()[-4000:]
        return json.loads(done.stdout)

    def post_audit(self, body: bytes, token: str | None = None) -> int:
        """Post a batch to the webhook as an API server does, by default with the right token; returns the status."""
        trusted = ssl.create_default_context(cadata=self.secrets["WEBHOOK_TLS_CERTIFICATE"])
        connection = http.client.HTTPSConnection("127.0.0.1", self.webhook_port, context=trusted, timeout=30)
        try:
            bearer = token or self.secrets["WEBHOOK_TOKEN"].split()[1]
            headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
            connection.request("POST", "/k8s/kubernetes?timeout=30s", body, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def search(self, duty: str, path: str) -> tuple[int, Any]:
        """GET from Elasticsearch as one of our identities; returns the status and the JSON."""
        password = self.secrets[f"SKYTRAIL_ELASTICSEARCH__{duty.upper()}__PASSWORD"]
        login = base64.b64encode(f"skytrail_{duty}:{password}".encode()).decode()
        connection = http.client.HTTPConnection("127.0.0.1", self.elasticsearch_port, timeout=30)
        try:
            connection.request("GET", path, headers={"Authorization": f"Basic {login}"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


def _clean_environment() -> dict[str, str]:
    """The environment without settings of whoever runs the tests."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("SKYTRAIL_", "COMPOSE_"))}


def _read(env_file: Path) -> dict[str, str]:
    pairs = (line.split("=", 1) for line in env_file.read_text().splitlines() if line and not line.startswith("#"))
    return {name: value.strip('"').replace("\\n", "\n") for name, value in pairs}
