"""A worker that ends itself with SIGKILL in the middle of a batch: `python -m tests.faults.dying_detect TOPIC …`.

The rest are the arguments of `skytrail`. It dies as soon as the brokers have messages of that topic that it owes to
records of CloudTrail, and before it does anything else.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

import pytest

from skytrail.cli.main import main
from streams import runtime
from streams.produce import Message, Producer
from streams.topics import ACCOUNTING, DETECTIONS, EVALUATIONS, raw_topic
from tests.faults.material import CLOUDTRAIL

_KEYS = {ACCOUNTING: f"detect|{raw_topic(CLOUDTRAIL)}|", EVALUATIONS: f"{raw_topic(CLOUDTRAIL)}|", DETECTIONS: ""}


class Dying(Producer):
    """Survives no send to one topic."""

    topic = ""

    async def send(self, topic: str, messages: Sequence[Message]) -> None:
        await super().send(topic, messages)
        if topic == self.topic and any((key or b"").startswith(_KEYS[topic].encode()) for key, _, _ in messages):
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    Dying.topic = sys.argv.pop(1)
    pytest.MonkeyPatch().setattr(runtime, "Producer", Dying)
    main()
