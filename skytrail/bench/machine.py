"""The machine that figures were measured on: a figure without it says nothing."""

from __future__ import annotations

import dataclasses
import os
import platform
from pathlib import Path

import psutil

CPUINFO = Path("/proc/cpuinfo")


@dataclasses.dataclass(frozen=True, slots=True)
class Machine:
    """Where a measurement ran.

    Attributes:
        cpu: Model as the kernel names it.
        cores: Logical processors that this process may use.
        memory_gb: Main memory.
        system: Kernel and architecture.
        python: Implementation and version.
        load: Runnable processes, average of the last minute, when it began. Above the number of cores others took
            part of the time: CPU times grow then, too, because caches are shared.
    """

    cpu: str
    cores: int
    memory_gb: float
    system: str
    python: str
    load: float

    def __str__(self) -> str:
        return (
            f"{self.cpu}, {self.cores} cores, {self.memory_gb:g} GB, {self.system}, {self.python}, "
            f"load {self.load:g} at the start"
        )


def this_machine(cpuinfo: Path = CPUINFO) -> Machine:
    """Describe the machine we run on.

    Args:
        cpuinfo: Where the kernel tells of its processors; what it does not tell comes from the platform.
    """
    return Machine(
        cpu=_model(cpuinfo) or platform.processor() or platform.machine(),
        cores=len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else _all_cores(),
        memory_gb=round(psutil.virtual_memory().total / 1024**3, 1),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        load=round(psutil.getloadavg()[0], 1),
    )


def _all_cores() -> int:
    return os.cpu_count() or 1


def _model(cpuinfo: Path) -> str:
    try:
        lines = cpuinfo.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""  # no Linux
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
