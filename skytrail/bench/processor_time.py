"""Which process spent the processor's time; on a small machine engines, role and client share it."""

from __future__ import annotations

from collections.abc import Mapping

import psutil


class ProcessorTime:
    """Seconds of processor time of some processes, since the last look."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        """Watch these processes.

        Args:
            pids: Process ids by the name to report them under.
        """
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._before = self._now()

    def spent(self) -> dict[str, float]:
        """Seconds by name since this was asked before."""
        before, self._before = self._before, self._now()
        return {name: self._before[name] - before[name] for name in self._processes}

    def _now(self) -> dict[str, float]:
        found = {}
        for name, process in self._processes.items():
            times = process.cpu_times()
            found[name] = times.user + times.system
        return found
