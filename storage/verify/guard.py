"""What a store itself does to keep an object, whoever wants it gone."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Guard:
    """What a store itself does to keep an object.

    Attributes:
        until: Nobody deletes it before; None: there is no such moment.
        held: Nobody deletes it at all.
    """

    until: dt.datetime | None
    held: bool
