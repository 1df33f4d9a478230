"""What is known of a source's habit: when records came, how long it is used to pause, how many an hour brings."""

from __future__ import annotations

import datetime as dt

import msgspec

KEPT_GAPS = 256
WEEK_HOURS = 7 * 24
USUAL_HOURS = 8 * 24
KEPT_HOURS = USUAL_HOURS + 2 * WEEK_HOURS + 2  # at the end of a pause its begin is still held against the weeks before
HOUR_MS = 3_600_000


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """When the watch speaks; times in seconds.

    Attributes:
        look_interval_s: Time between looks. A longer pause means that nobody watched.
        minimum_silence_s: No source is called silent before.
        unlearned_silence_s: Silence of a source whose habit is not known yet.
        expected_s: Stated interval per collector, or per sender (`collector/sender`); it beats what was learned.
        patience: How many expected intervals may pass.
        baseline_minimum: Records an hour that make a baseline; below them a drop says nothing.
        lag_minimum: Messages that must wait before lag is worth an alert.
        lag_window_s: Time over which lag must not shrink.
    """

    look_interval_s: float = 30.0
    minimum_silence_s: float = 900.0
    unlearned_silence_s: float = 86_400.0
    expected_s: dict[str, float] = {}
    patience: float = 3.0
    baseline_minimum: int = 200
    lag_minimum: int = 1000
    lag_window_s: float = 600.0


class SourceState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The watch's memory of one source. Times are milliseconds since 1970.

    Attributes:
        source: `namespace|format|collector`; `default||collector` of one that is expected and never brought anything.
        count: Records received in all.
        grew_at: When the count was last seen to grow.
        looked_at: When it was last looked at.
        watched_since: Since when it is looked at without a pause.
        gaps: Seconds between growths, the newest last.
        hours: Hour since 1970 → records, of hours watched from end to end.
        silent_since: Last growth before the silence that was told; 0 when there is none.
        dropped_at: Hour of the drop that was told; 0 when there is none.
        retired_at: When the source was taken out of service; 0 while it is in service.
    """

    source: str
    count: int = 0
    grew_at: int = 0
    looked_at: int = 0
    watched_since: int = 0
    gaps: list[float] = []
    hours: dict[int, int] = {}
    silent_since: int = 0
    dropped_at: int = 0
    retired_at: int = 0

    @property
    def format(self) -> str:
        """Name of its format."""
        return self.source.split("|", 2)[1]

    @property
    def awaited(self) -> bool:
        """Whether it stands for a collector of which nothing is known yet but that it is expected."""
        return not self.format

    @property
    def collector(self) -> str:
        """Name of its collector, without the sender (`hook` of `hook/production`)."""
        return self.sender.partition("/")[0]

    @property
    def sender(self) -> str:
        """Name of its collector with that of the sender, where it has several."""
        return self.source.split("|", 2)[2]

    def retire(self, at: int) -> None:
        """Take it out of service: what is missing from now on is missed by nobody."""
        self.retired_at = at
        self.silent_since = self.dropped_at = 0


class Retired(msgspec.Struct, frozen=True, kw_only=True):
    """A collector that was taken out of service.

    Attributes:
        at: When, milliseconds since 1970.
    """

    collector: str
    at: int


class LagState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The watch's memory of one role's backlog.

    Attributes:
        samples: (milliseconds, messages not yet done), of the last window, the oldest first.
        growing_since: First sample of the growth that was told; 0 when there is none.
    """

    role: str
    samples: list[tuple[int, int]] = []
    growing_since: int = 0


def milliseconds(moment: dt.datetime) -> int:
    """A moment as the states keep it."""
    return int(moment.timestamp() * 1000)


def moment_of(at: int) -> dt.datetime:
    """A kept time as a moment, UTC."""
    return dt.datetime.fromtimestamp(at / 1000, dt.UTC)
