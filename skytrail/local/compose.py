"""`--docker`: brings the engines of docker-compose.yml up and down."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from ingest.schema.errors import EngineError

FILE = "docker-compose.yml"
WAIT_S = 240


def up(directory: Path, say: Callable[[str], None]) -> None:
    """Start the engines and wait until they are healthy.

    Raises:
        EngineError: No compose file, no Docker, no `.env`, or an engine that does not become healthy.
    """
    if not (directory / ".env").is_file():
        raise EngineError("starting Compose: there is no .env", where=str(directory), mend="run `skytrail init`")
    say("starting Compose; the first time it fetches or builds images")
    _compose(directory, ["up", "--detach", "--wait", "--wait-timeout", str(WAIT_S)])


def down(directory: Path, say: Callable[[str], None]) -> None:
    """Stop and remove the containers; volumes stay.

    Raises:
        EngineError: No compose file or no Docker.
    """
    _compose(directory, ["--profile", "*", "down"])
    say("Compose is down; its volumes stay (docker compose down --volumes removes them)")


def _compose(directory: Path, arguments: Sequence[str]) -> None:
    if not (directory / FILE).is_file():
        raise EngineError(f"looking for {FILE}", where=str(directory), mend="run it in the directory of the project")
    docker = shutil.which("docker")
    if docker is None:
        raise EngineError("looking for docker: not found", mend="install Docker, or leave --docker away")
    done = subprocess.run(  # noqa: S603 - fixed program, no shell, own arguments
        [docker, "compose", *arguments], cwd=directory, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise EngineError(
            f"docker compose {arguments[0]} ended with {done.returncode}",
            where=str(directory),
            mend="read its lines above; `docker compose ps` and `docker compose logs` tell more",
        )
