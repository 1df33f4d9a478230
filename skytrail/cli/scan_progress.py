"""What a scan tells the person while it runs and when it ended; all of it on stderr."""

from __future__ import annotations

import time
from collections import Counter
from types import TracebackType
from typing import Final, Self

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from detectors.rule import SEVERITIES
from skytrail.cli.output import say, shown, stderr
from skytrail.scan.run import Tally, Trouble

TROUBLES_OF_A_FILE = 5
TROUBLES = 100
_INTERVAL_S = 0.1
_LINE_INTERVAL_S = 10.0  # between lines where stderr is no terminal


class Display:
    """A bar on a terminal, a line now and then elsewhere, and a bounded list of troubles."""

    def __init__(self, total: int, *, quiet: bool) -> None:
        """Prepare.

        Args:
            total: Bytes to come; 0 when unknown.
            quiet: Only troubles are told.
        """
        self._quiet = quiet
        self._bar = Progress(
            TextColumn("scanning"),
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=stderr,
            transient=True,
            disable=quiet or not stderr.is_terminal,
            auto_refresh=False,
        )
        self._task = self._bar.add_task("", total=total or None, note="")
        self._total = total
        self._began = self._shown = self._line = time.monotonic()
        self._troubles: Counter[str] = Counter()
        self._untold = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, tally: Tally) -> None:
        """How far it is; at most ten times a second."""
        now = time.monotonic()
        if self._quiet or now - self._shown < _INTERVAL_S:
            return
        self._shown = now
        rate = tally.events / max(now - self._began, 1e-9)
        note = f"{tally.events:,} events, {rate:,.0f}/s, {tally.matches.total():,} matches"
        if not self._bar.disable:
            self._bar.update(self._task, completed=tally.bytes, note=note, refresh=True)
        elif now - self._line >= _LINE_INTERVAL_S:
            self._line = now
            share = f"{100 * tally.bytes / self._total:.0f} % " if self._total else ""
            say(f"scanning: {share}{note}")

    def trouble(self, trouble: Trouble) -> None:
        """Name something that was not evaluated, unless a lot was named before."""
        self._troubles[trouble.file] += 1
        if self._troubles[trouble.file] > TROUBLES_OF_A_FILE or self._troubles.total() - self._untold > TROUBLES:
            self._untold += 1
            return
        place = f"{trouble.file}, record {trouble.record}" if trouble.record is not None else trouble.file
        what = "evaluated without normalised fields" if trouble.partly else "not evaluated"
        say(shown(f"{what}: {place}: {trouble.why}"))

    def finish(self, tally: Tally, seconds: float) -> None:
        """One line that says what the scan came to."""
        for rule_id, count in sorted(tally.raised.items()):
            say(f"rule {rule_id} raised on {count:,} events and was off for them")
        for why, consequence in _LEFT_OUT.items():
            if number := tally.left_out[why]:
                ids = sorted(name for reason, name in tally.left_out_of if reason == why)
                more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
                say(f"correlations did not keep {number:,} {consequence} (of {', '.join(ids[:_NAMED])}{more})")
        if self._untold:
            say(f"not evaluated: {self._untold:,} more; the summary counts all")
        if not self._quiet:
            say(summary_line(tally, seconds))


_NAMED: Final = 5
_MEND: Final = "scan a shorter time with --from and --to, or fewer files"
_LEFT_OUT: Final = {
    "repeats": "matches with the value or rule of others before and after: no alert is missing, some may count fewer",
    "surplus": "matches of groups that had enough without them: no alert is missing, some may count fewer",
    "cut": f"matches beyond what a group holds: alerts may be missing, or call new what is not; {_MEND}",
    "forgotten": f"groups, of which there are too many: alerts may be missing; {_MEND}",
    "late": f"matches that came too late for them: alerts may be missing; {_MEND}",
}
"""What it means for the alerts that correlations left something out, by reason as in `Correlator.notes`."""


def summary_line(tally: Tally, seconds: float) -> str:
    """Files, events, refusals, matches by level, seconds."""
    levels = sorted(tally.matches, key=lambda level: -SEVERITIES[level])
    by_level = ", ".join(f"{tally.matches[level]:,} {level}" for level in levels)
    files = f"{tally.files:,} files" + "".join(
        f", {count:,} {word}"
        for count, word in ((tally.unknown, "of unknown format"), (tally.unreadable, "not readable to the end"))
        if count
    )
    events = f"{tally.events:,} events, {tally.refused:,} refused"
    undated = f", {tally.undated:,} not normalised" if tally.undated else ""
    matches = f"{tally.matches.total():,} matches" + (f" ({by_level})" if by_level else "")
    return f"{files}; {events}{undated}; {matches}; {seconds:.1f} s, {tally.events / max(seconds, 1e-3):,.0f} events/s"
