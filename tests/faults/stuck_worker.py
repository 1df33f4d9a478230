"""A worker whose only agent never finishes: `python -m tests.faults.stuck_worker SETTINGS HOW DIRECTORY`.

HOW: `blocked` stops the event loop; `idle` waits for ever without a reason; `reasoned` does so and says why.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from skytrail.settings import load
from streams.app import attach, build_app
from streams.runtime import Runtime
from streams.topics import raw_topic
from streams.worker import Pulse, always_ready, run
from tests.faults.material import CLOUDTRAIL


def main(config: str, how: str, directory: str) -> None:
    settings = load(Path(config))
    runtime = Runtime(f"stuck-{how}", settings.kafka, settings.worker)
    app = build_app(
        runtime.role,
        settings.kafka,
        settings.worker,
        buffer=32,
        data_dir=Path(directory),
    )

    async def handle(_: object) -> None:
        while True:
            if how == "blocked":
                time.sleep(3600)  # noqa: ASYNC251 - the fault that the watchdog is to notice
            if how == "reasoned":
                runtime.waiting("a test says so")
            await asyncio.sleep(0.5)

    async def close() -> None:
        return

    attach(app, "stuck", [raw_topic(CLOUDTRAIL)], handle, size=4, wait_s=0.1)
    run(runtime, app, Pulse(runtime, app, ready=always_ready, ruleset="", close=close))


if __name__ == "__main__":
    main(*sys.argv[1:])
