"""Small messages travel together: those that are a line of JSON become the lines of one body. Pure.

A queue brings one event a message, and everything behind it costs per body and not per event. A transport knows no
format; but a message that is one JSON object on one line, next to another such, is what every format reads as lines,
and the line is its bytes, unchanged. Any other message (gzip, several lines, text, broken JSON) stays alone: what is
wrong with it then concerns nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ingest.parsing.json_scan import BLANK


def is_line(body: bytes) -> bool:
    """Whether a message is one JSON object on one line."""
    text = body.strip(BLANK)
    if not text.startswith(b"{") or b"\n" in text or b"\r" in text:
        return False
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def cut_runs(bodies: Sequence[bytes], most_messages: int, most_bytes: int) -> list[slice]:
    """Where to cut a sequence of messages into runs, in order.

    Args:
        bodies: The messages, as received.
        most_messages: Of one run.
        most_bytes: Of one run that has more than one message.
    """
    runs: list[slice] = []
    start = size = 0
    joinable = False
    for at, body in enumerate(bodies):
        line = is_line(body)
        fits = at - start < most_messages and size + len(body) <= most_bytes
        if at > start and not (joinable and line and fits):
            runs.append(slice(start, at))
            start, size = at, 0
        joinable = line
        size += len(body)
    if bodies:
        runs.append(slice(start, len(bodies)))
    return runs


def joined(bodies: Sequence[bytes]) -> bytes:
    """The body of a run: a message alone is itself."""
    if len(bodies) == 1:
        return bodies[0]
    return b"".join(body if body.endswith(b"\n") else body + b"\n" for body in bodies)
