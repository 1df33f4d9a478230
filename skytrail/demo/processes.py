"""The demo's own processes: roles and the webhook collector, started from this installation and ended by their ids."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ingest.schema.errors import EngineError

GRACE_S = 40.0


class Processes:
    """Child processes by name; their output goes to log files."""

    def __init__(self, log_dir: Path, environment: Mapping[str, str]) -> None:
        """Start with none.

        Args:
            environment: Of every child; without the user's own Skytrail settings.
        """
        self._log_dir = log_dir
        self._environment = dict(environment)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        log_dir.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, arguments: Sequence[str]) -> None:
        """Start `skytrail <arguments>`; it does not see our Ctrl-C, we end it ourselves."""
        with self._log(name).open("wb") as log:
            self._running[name] = subprocess.Popen(  # noqa: S603 - this interpreter, our own arguments
                [sys.executable, "-m", "skytrail", *arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def check(self) -> None:
        """Make sure that all still run.

        Raises:
            EngineError: One has ended; the message shows the end of its log.
        """
        for name, process in self._running.items():
            if process.poll() is not None:
                tail = self._log(name).read_text("utf-8", "replace").splitlines()[-8:]
                raise EngineError(
                    f"running {name}: it ended with {process.returncode}:\n  " + "\n  ".join(tail),
                    where=str(self._log(name)),
                    mend="read its log; `skytrail doctor` checks this machine",
                )

    def pids(self) -> dict[str, int]:
        """Process ids by name."""
        return {name: process.pid for name, process in self._running.items()}

    def stop(self) -> None:
        """End all gracefully, then by force; returns when they are gone."""
        for process in self._running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._running.values():
            try:
                process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()

    def _log(self, name: str) -> Path:
        return self._log_dir / f"{name}.log"
