"""`erase apply` on real engines, in a process that ends itself with SIGKILL at a chosen step."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from elasticsearch import AsyncElasticsearch
from typer.testing import CliRunner

from skytrail.cli.main import build
from storage.archive.stores.filesystem import FilesystemStore
from storage.index import erasing

DOCUMENTS_AT_ONCE = 5


class Dying:
    """Counts what changes something, writes it down, and is gone with its process at one of them.

    Args:
        at: The number of the step, from 1; 0: never.
        fault: Whether that step is `applied` or `lost`.
        trace: File of the steps.
    """

    def __init__(self, at: int, fault: str, trace: Path) -> None:
        self._left, self._fault, self._trace = at, fault, trace

    def begin(self, step: str) -> None:
        """A step is about to be done."""
        with self._trace.open("a") as trace:
            trace.write(f"{step}\n")
        self._left -= 1
        if self._left == 0 and self._fault == "lost":
            os.kill(os.getpid(), signal.SIGKILL)

    def end(self) -> None:
        """It was done."""
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, name: str) -> None:
        """Every call of a method of the store is a step."""
        inner: Callable[..., Any] = getattr(FilesystemStore, name)

        def step(store: FilesystemStore, key: Any, *more: Any, **named: Any) -> Any:
            self.begin(f"{name} {store.root.name} {key}")
            result = inner(store, key, *more, **named)
            self.end()
            return result

        setattr(FilesystemStore, name, step)

    def watch_bulk(self) -> None:
        """So is every deletion of a few documents."""
        inner: Callable[..., Any] = AsyncElasticsearch.bulk

        async def step(client: AsyncElasticsearch, **named: Any) -> Any:
            self.begin("bulk")
            result = await inner(client, **named)
            self.end()
            return result

        AsyncElasticsearch.bulk = step  # type: ignore[method-assign, assignment]


def apply(arguments: Sequence[str], at: int, fault: str, trace: Path) -> None:
    """Run the command; the process exits as the command does, if it lives."""
    erasing._PAGE = DOCUMENTS_AT_ONCE  # type: ignore[misc]
    dying = Dying(at, fault, trace)
    for name in ("put", "swap", "delete", "sweep"):
        dying.watch(name)
    dying.watch_bulk()
    result = CliRunner().invoke(build("erase"), list(arguments), catch_exceptions=False)
    sys.exit(result.exit_code)
