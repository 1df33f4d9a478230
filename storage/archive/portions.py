"""How many buffered messages one segment takes, so that its manifest and each proof that has it stay small."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from storage.archive.contents import Content


def within_runs(messages: Sequence[tuple[int, Content]], limit: int) -> int:
    """How many of the first messages make no more runs in the segment of any namespace; at least one.

    A run is what a manifest lists: messages at consecutive offsets with as many records each. Messages of one size,
    however many they are, make one; each that differs from the one before it makes another.

    Args:
        messages: (offset, content), in the order of their offsets.
        limit: Runs of a segment.
    """
    runs: Counter[str] = Counter()
    last: dict[str, tuple[int, int]] = {}
    for number, (offset, content) in enumerate(messages):
        namespace, size = content.namespace, len(content.records)
        if last.get(namespace) != (offset - 1, size):
            runs[namespace] += 1
        last[namespace] = (offset, size)
        if runs[namespace] > limit and number:
            return number
    return len(messages)
