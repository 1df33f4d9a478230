"""What both engines have in common: where their files lie and how they are launched."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.schema.errors import EngineError
from skytrail.local.distribution import Installed
from skytrail.local.privilege import Account, public_directory
from skytrail.local.processes import ProcessIdentity, spawn
from skytrail.local.state import Engine, EngineState

LOG_TAIL_LINES = 15

# Starts are measured on two cores: the serial collector needs no threads, and no page is touched before it is used.
FAST_START = ("-XX:+UseSerialGC", "-XX:-AlwaysPreTouch", "-XX:-UsePerfData", "-Djava.awt.headless=true")


@dataclass(frozen=True)
class Launch:
    """What a start of an engine needs to know."""

    state: EngineState
    installed: Installed
    account: Account | None

    def directory(self, engine: Engine) -> Path:
        """The engine's own directory: written by us, its subdirectories by the engine."""
        return public_directory(self.state.directory / engine)

    def marker(self, engine: Engine) -> str:
        """A Java option that names home and engine: by it a process is found that was never written down."""
        return marker(self.state.home, engine)

    def run(self, engine: Engine, command: Sequence[str], environment: dict[str, str]) -> ProcessIdentity:
        """Start a process of the engine.

        Raises:
            EngineError: It can't be executed.
        """
        plain = {"PATH": os.defpath, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
        try:
            return spawn(
                command,
                environment={**plain, **environment},
                directory=self.directory(engine) / "tmp",
                log=self.state.console(engine),
                account=self.account,
            )
        except (OSError, ValueError) as exc:
            raise EngineError(
                f"starting {engine}: {exc}",
                where=command[0],
                mend="check that this file may be executed and that the machine has free memory and processes",
            ) from exc


def marker(home: Path, engine: Engine) -> str:
    """See `Launch.marker`."""
    return f"-Dskytrail.engine={engine}:{home}"


def log_tail(state: EngineState, engine: Engine) -> str:
    """The last lines that the engine said, on its console and in its log, without the frames of stack traces."""
    said: list[str] = []
    for path in (state.console(engine), state.logs[engine]):
        if path.exists():
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            said += [line for line in lines if not line.startswith("\tat ")][-LOG_TAIL_LINES:]
    return "\n".join(said)
