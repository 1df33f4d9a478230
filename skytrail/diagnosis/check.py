"""One finding of `skytrail doctor`, and the guard that makes a finding of everything that goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from ingest.schema.errors import SkytrailError
from skytrail.cli.exits import Exit, exit_of

State = Literal["ok", "warn", "fail", "skipped"]
STEP_TIMEOUT_S = 180.0  # testing the shipped rules takes 10 s of processor time, and the machine may be busy


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at and found.

    Attributes:
        state: `warn` works, and should be changed; `fail` does not work or is unsafe.
        found: In words.
        mend: What to do; empty when nothing is to be done.
        denied: Of a fail: we were not let in, or may not do what we must.
    """

    name: str
    state: State
    found: str
    mend: str = ""
    denied: bool = False


Step = Callable[[], Awaitable[Iterable[Check]]]


def failed(name: str, error: SkytrailError, state: State = "fail") -> Check:
    """The check that an error of ours stands for."""
    place = f" at {error.where}" if error.where else ""
    return Check(name, state, f"{error.what}{place}", error.mend, denied=exit_of(error) is Exit.DENIED)


async def guarded(name: str, step: Step, *, timeout_s: float | None = STEP_TIMEOUT_S) -> list[Check]:
    """The checks of a step; whatever it raises is a fail under this name, so that the other steps go on.

    Args:
        name: Of the check that stands for an error.
        step: Raises or gives checks.
        timeout_s: Seconds that it may take; None: it ends by itself.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return list(await step())
    except SkytrailError as exc:
        return [failed(name, exc)]
    except TimeoutError:
        return [Check(name, "fail", f"no answer within {timeout_s:g} s", "see docs/runbook.md")]
    except Exception as exc:  # noqa: BLE001 - a diagnosis reports what it does not understand, and goes on
        return [Check(name, "fail", f"{type(exc).__name__}: {exc}", "this is a fault of the check: please report it")]


def verdict(checks: Iterable[Check]) -> Exit:
    """The exit code of a diagnosis: 0 without a fail, 4 when all that failed was denied, else 3."""
    fails = [check for check in checks if check.state == "fail"]
    if not fails:
        return Exit.OK
    return Exit.DENIED if all(check.denied for check in fails) else Exit.CONFIG
