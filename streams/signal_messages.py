"""Where signals go: all of one group of one correlation to one partition, a batch to a message."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from detectors.correlation.state import Signal
from detectors.correlation.wire import encode_signals
from streams.produce import Message, Sink, partition_for
from streams.topics import SIGNALS

MAX_PER_MESSAGE = 200  # signals carry the context of an alert
MAX_MESSAGE_BYTES = 1024 * 1024


async def place_signals(sink: Sink, signals: Iterable[Signal]) -> list[Message]:
    """Messages of one partition each: all signals of a group of a correlation are in the same."""
    given = list(signals)
    if not given:
        return []
    partitions = await sink.partitions(SIGNALS)
    placed: dict[int, list[Signal]] = defaultdict(list)
    for signal in given:
        key = f"{signal.correlation}\x00{signal.namespace}\x00{signal.group}"
        placed[partition_for(key.encode("utf-8", "surrogatepass"), partitions)].append(signal)
    return [
        (None, message, partition)
        for partition, group in placed.items()
        for message in encode_signals(group, MAX_PER_MESSAGE, MAX_MESSAGE_BYTES)
    ]
