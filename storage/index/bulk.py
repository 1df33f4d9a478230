"""What goes into the bulk writer and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ingest.schema.errors import IndexUnavailable
from storage.index.outcomes import Operation


@dataclass(frozen=True, slots=True)
class BulkItem:
    """One document on its way.

    Attributes:
        body: JSON on one line: the document for `create`, `{"doc": …}` for `update`.
    """

    index: str
    id: str
    body: bytes
    operation: Operation = "create"


@dataclass(slots=True)
class Outcome:
    """What became of each document, by its position in the call; every position is in exactly one of the first four.

    Attributes:
        created: It is in the index, written by this call (or, for an update, applied).
        duplicate: The id was taken before.
        uncertain: The id is taken, and an earlier request of this very call that got no answer may have done it:
            compare by Kafka position (`conflicts.compare`): the same position means created.
        refused: Position, kind of error, reason in the server's words.
        mended: Of the created ones, those that went in only after `mend` had changed them.
    """

    created: list[int] = field(default_factory=list)
    duplicate: list[int] = field(default_factory=list)
    uncertain: list[int] = field(default_factory=list)
    refused: list[tuple[int, str, str]] = field(default_factory=list)
    mended: list[int] = field(default_factory=list)


class Observer(Protocol):
    """Hears what the writer does; for metrics, logs and readiness."""

    def sent(self, documents: int, size: int, seconds: float) -> None:
        """A bulk request was answered."""
        ...

    def retrying(self, cause: str, documents: int, pause_s: float) -> None:
        """Documents go again after a pause; `cause` is `busy`, `away` or `blocked`."""
        ...

    def alarm(self, error: IndexUnavailable) -> None:
        """A person is needed; repeated with each attempt as long as it lasts."""
        ...


class Unobserved:
    """Hears nothing."""

    def sent(self, documents: int, size: int, seconds: float) -> None:
        """Ignore."""

    def retrying(self, cause: str, documents: int, pause_s: float) -> None:
        """Ignore."""

    def alarm(self, error: IndexUnavailable) -> None:
        """Ignore."""


Mend = Callable[[bytes, str], bytes | None]
"""Makes a refused body (and the server's reason) acceptable, or says None: asked once per document."""
