"""Proves step by step that a collector gets what it should: the frame of `skytrail onboard check`.

What is asked of a source stands in `checks/`, a file per transport, with its name: adding one edits no existing file.
It has `open_plan(asked)`, an async context manager that gives a `Plan`: the steps, in the order in which a person would
mend things, and how long the first event may take. Connections are made and closed there. Of a transport without such a
file the settings and the arrival of events are proven.

A step is a coroutine that gives checks, or raises an error of ours, which becomes a fail with its `mend`. It changes
nothing in the cloud. A step that needs another one is skipped while that one fails.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib
import importlib.util
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from ingest.schema.errors import SkytrailError
from ingest.settings import CollectorSettings
from skytrail.cli.exits import Exit
from skytrail.diagnosis.check import Check, Step, failed, guarded, verdict
from skytrail.diagnosis.configuration import collector_check
from skytrail.onboarding import checks

LOCAL_WITHIN_S = 60.0  # what pushes to us, or lies on this machine


@dataclass(frozen=True, slots=True)
class Asked:
    """What shall be proven.

    Attributes:
        name: Of the collector.
        settings: Of the collector.
        now: The present (UTC).
    """

    name: str
    settings: CollectorSettings
    now: Callable[[], dt.datetime]


@dataclass(frozen=True, slots=True)
class ProofStep:
    """One thing to prove.

    Attributes:
        name: What is proven, as the check is called.
        look: Asks for it.
        needs: Names of steps before it without which asking makes no sense.
    """

    name: str
    look: Step
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """How a kind of source is proven.

    Attributes:
        steps: In the order in which a person would mend things.
        first_event_within_s: Seconds that the cloud may take from an event to us, by what the vendor says.
    """

    steps: Sequence[ProofStep] = ()
    first_event_within_s: float = LOCAL_WITHIN_S


OpenPlan = Callable[[Asked], AbstractAsyncContextManager[Plan]]
"""Gives the steps for a collector, and closes what they needed."""


def plan_of(transport: str) -> OpenPlan | None:
    """What proves collectors of a transport; None where there is nothing to ask."""
    path = f"{checks.__name__}.{transport}"
    if importlib.util.find_spec(path) is None:
        return None
    found: OpenPlan = importlib.import_module(path).open_plan
    return found


Arrival = Callable[[float], Awaitable[Iterable[Check]]]
"""Whether events are in Skytrail, of a cloud that may take so many seconds; ends by itself, however long it waits."""


async def prove(asked: Asked, arrival: Arrival) -> AsyncIterator[Check]:
    """Every check, as it is known: the settings, what the cloud says, and whether events arrive.

    Args:
        asked: What shall be proven.
        arrival: The last step.
    """
    settings = collector_check(asked.name, asked.settings)
    for check in settings:
        yield check
    usable = all(check.state != "fail" for check in settings)
    opened = plan_of(asked.settings.transport) if usable else None
    async with contextlib.AsyncExitStack() as stack:
        plan = Plan()
        if opened is not None:
            try:
                plan = await stack.enter_async_context(opened(asked))
            except SkytrailError as exc:
                yield failed("connection", exc)
        async for check in _steps(plan.steps):
            yield check
        for check in await guarded("events", lambda: arrival(plan.first_event_within_s), timeout_s=None):
            yield check


async def _steps(steps: Iterable[ProofStep]) -> AsyncIterator[Check]:
    missing: set[str] = set()
    for step in steps:
        if lacking := [name for name in step.needs if name in missing]:
            found = [Check(step.name, "skipped", f"it needs {' and '.join(lacking)}")]
        else:
            found = await guarded(step.name, step.look)
        if any(check.state == "fail" for check in found) or all(check.state == "skipped" for check in found):
            missing.add(step.name)
        for check in found:
            yield check


def proven(found: Sequence[Check]) -> Exit:
    """The exit code of a proof: as that of a diagnosis, but 5 where nothing failed and something was skipped."""
    code = verdict(found)
    skipped = any(check.state == "skipped" for check in found)
    return Exit.INCOMPLETE if code is Exit.OK and skipped else code
