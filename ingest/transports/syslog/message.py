"""A syslog message: its header and its MSG part (RFC 5424 §6). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BOM = b"\xef\xbb\xbf"
_VALUE = rb'"(?:[^"\\\]]|\\.)*+"'  # RFC 5424 §6.3.3; a backslash before another character stands for itself
_NAME = rb"[!#-<>-\\^-~]{1,32}"  # printable, no `=`, space, `]`, `"`
_ELEMENT = rb"\[" + _NAME + rb"(?: " + _NAME + rb"=" + _VALUE + rb")*+\]"
_HEADER = re.compile(
    rb"<(?:[0-9]|[1-9][0-9]|1[0-8][0-9]|19[01])>[1-9][0-9]{0,2}"
    rb" (?P<timestamp>[!-~]{1,64}) (?P<hostname>[!-~]{1,255}) (?P<app>[!-~]{1,48}) [!-~]{1,128} [!-~]{1,32}"
    rb" (?:-|(?P<data>(?:" + _ELEMENT + rb")++))(?: |\Z)"
)


@dataclass(frozen=True, slots=True)
class Message:
    """What is kept of a message.

    Attributes:
        body: The MSG part without a byte order mark; all of it, if it is no message of RFC 5424 or says what it says in
            its structured data alone; empty, if it says nothing.
        header: What stands before it; None if it is no message of RFC 5424.
    """

    body: bytes
    header: re.Match[bytes] | None

    @property
    def sender(self) -> str:
        """Hostname, application and time, as the message claims; empty if it is no message of RFC 5424."""
        return b"/".join(self.header.group("hostname", "app", "timestamp")).decode("ascii") if self.header else ""


def read(frame: bytes) -> Message:
    """Take a message apart; what has no header of RFC 5424 stays whole, so that its format can refuse it by name."""
    header = _HEADER.match(frame)
    if header is None:
        return Message(frame, None)
    body = frame[header.end() :].removeprefix(_BOM)
    return Message(frame if header["data"] and not body.strip() else body, header)
