"""Takes changed rules into force without a restart: whole, tested, and at one moment; or not at all.

The rule directories are looked at every few seconds, and at once on SIGHUP. A set is taken when it has lain unchanged
for one interval (SIGHUP does not wait), so that half a copied directory is no set. A set with an error that the rules
in force do not have is refused whole, and those go on. What is removed from the set no longer matches from the swap
on; what it matched before still becomes an alert.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Generic, Literal, TypeVar

import structlog

from detectors.rule_files import rule_files
from detectors.rulebook import Rulebook
from ingest.schema.errors import ConfigError
from streams.telemetry import Telemetry

SHOWN_REASONS = 10  # in the log line of a refusal
Outcome = Literal["unchanged", "unsettled", "reloaded", "refused"]
State = frozenset[tuple[str, str, int, int]]
"""Path, the file it leads to, time of modification (ns) and size of every rule file: a swapped link is a change."""
Built = TypeVar("Built")

log = structlog.get_logger("skytrail.rules")


class RuleReload(Generic[Built]):
    """Watches some rule paths for a worker.

    Attributes:
        book: The set in force.
    """

    def __init__(
        self,
        book: Rulebook,
        paths: Sequence[Path],
        *,
        load: Callable[[], Rulebook],
        build: Callable[[Rulebook], Built],
        use: Callable[[Rulebook, Built], None],
        telemetry: Telemetry,
        tell: Callable[[Sequence[str], Mapping[str, str]], Awaitable[None]],
    ) -> None:
        """Begin with the set in force.

        Args:
            book: It.
            paths: Files and directories it was loaded from.
            load: Reads and tests them anew; called in a thread.
            build: Makes of a set what evaluates it; called in a thread.
            use: Puts it in force, by assignments only; called between two batches.
            telemetry: Counts outcomes.
            tell: Records a change, or a refusal with its reasons: versions of the set before and of the new one.
        """
        self.book = book
        self._paths = tuple(paths)
        self._load = load
        self._build = build
        self._use = use
        self._telemetry = telemetry
        self._tell = tell
        self._judged = self._last = state_of(self._paths)

    async def watch(self, interval_s: float) -> None:
        """Look now and then, for ever.

        Args:
            interval_s: Seconds between looks; 0: only on SIGHUP.
        """
        asked = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, asked.set)
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asked.wait(), interval_s or None)
                at_once = asked.is_set()
                asked.clear()
                await self.look(at_once=at_once)
        finally:
            loop.remove_signal_handler(signal.SIGHUP)

    async def look(self, *, at_once: bool = False) -> Outcome:
        """Look once.

        Args:
            at_once: Judge the set as it lies there, changed or not, settled or not.
        """
        state = await asyncio.to_thread(state_of, self._paths)
        settled, self._last = state == self._last, state
        if not at_once:
            if state == self._judged:
                return "unchanged"
            if not settled:
                return "unsettled"
        self._judged = state
        try:
            book = await asyncio.to_thread(self._load)
            reasons = list(_objections(self.book, book))
            built = None if reasons else await asyncio.to_thread(self._build, book)
        except ConfigError as exc:
            reasons, built = [str(exc)], None
        except Exception as exc:  # noqa: BLE001 - no rule file may end the worker that evaluates the others
            reasons, built = [f"loading rules: {type(exc).__name__}: {exc}"], None
        if built is None:
            await self._tell(reasons[:SHOWN_REASONS], {"before": self.book.version})
            return self._refuse(reasons)
        self._use(book, built)
        old, self.book = self.book, book
        self._telemetry.rule_reloads.labels("reloaded").inc()
        announce(book, self._telemetry)
        log.info("rules reloaded", version=book.version, before=old.version, rules=len(book.evaluated))
        await self._tell((), {"before": old.version, "version": book.version})
        return "reloaded"

    def _refuse(self, reasons: Sequence[str]) -> Outcome:
        self._telemetry.rule_reloads.labels("refused").inc()
        log.error(
            "rules refused",
            in_force=self.book.version,
            reasons=list(reasons[:SHOWN_REASONS]),
            more=max(0, len(reasons) - SHOWN_REASONS),
            mend="correct what `skytrail rules lint` lists; the rules in force go on until then",
        )
        return "refused"


def announce(book: Rulebook, telemetry: Telemetry) -> None:
    """Say of a set that comes into force how many rules it has, and loudly each that was left out, and why.

    Broken rules, and those that fail their own tests, never run; the others do not wait for them.
    """
    telemetry.rules.set(len(book.evaluated))
    reasons: dict[tuple[str, str], list[str]] = {}
    for finding in book.errors:
        reasons.setdefault((finding.file, finding.rule), []).append(finding.message)
    telemetry.rules_refused.set(len(reasons))
    for (file, rule_id), why in reasons.items():
        log.error(
            "rule left out",
            file=file,
            rule_id=rule_id,
            reasons=why[:SHOWN_REASONS],
            mend="correct it; `skytrail rules lint` and `skytrail rules test` tell more",
        )


def state_of(paths: Iterable[Path]) -> State:
    """What the file system says of the rule files; files that vanish meanwhile are not in it."""
    return frozenset(_seen(paths))


def _seen(paths: Iterable[Path]) -> Iterator[tuple[str, str, int, int]]:
    for path in paths:
        with contextlib.suppress(OSError):
            for file in rule_files(path):
                with contextlib.suppress(OSError):
                    found = file.stat()
                    yield str(file), os.path.realpath(file), found.st_mtime_ns, found.st_size


def _objections(old: Rulebook, new: Rulebook) -> Iterator[str]:
    """Why a set must not take the place of another."""
    known = set(old.errors)
    yield from (str(error) for error in new.errors if error not in known)
    if old.evaluated and not new.evaluated:
        yield "no rule is left"
