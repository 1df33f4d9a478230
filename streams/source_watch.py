"""The watch over sources: looks at the accounts, remembers each source's habit, and tells alerts.

One worker of the role detect watches, the one that has partition 0 of the detections topic; what it knows lies in a
compacted topic, so that its successor goes on. Alerts are with the brokers before that memory is: a look that is
repeated tells the same alerts under the same ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec
import structlog

from detectors.detection import Detection
from detectors.source_watch.alerts import detection
from detectors.source_watch.state import LagState, Limits, Retired, SourceState
from detectors.source_watch.watch import Notice, expected_s, observe, observe_lag
from ingest.schema.errors import IntegrityError
from streams.accounting import COLLECT_REFUSED, RECEIVED, UNREADABLE, Account
from streams.accounts import Read
from streams.agents.detect import place_detections
from streams.runtime import Runtime
from streams.settings import WatchSettings
from streams.status import lag_of, topics_read
from streams.topics import DETECTIONS, SOURCE_WATCH

log = structlog.get_logger("skytrail.watch")

BlindRules = Callable[[str], Sequence[str]]
"""Names of the rules that read a format."""


class Feed(Protocol):
    """Where counts come from; `AccountsFeed`, or a list in tests."""

    async def look(self, topics: Sequence[str]) -> tuple[list[Account], dict[tuple[str, int], int]]:
        """All accounts, and the ends of these topics."""
        ...


class Saved(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of the watch's memory."""

    source: SourceState | None = None
    lag: LagState | None = None
    retired: Retired | None = None


_decoder = msgspec.msgpack.Decoder(Saved)


def limits_of(settings: WatchSettings) -> Limits:
    """The settings as the pure core takes them."""
    return Limits(
        look_interval_s=settings.look_interval_s,
        minimum_silence_s=settings.minimum_silence_s,
        unlearned_silence_s=settings.unlearned_silence_s,
        expected_s=settings.expected_interval_s,
        patience=settings.patience,
        baseline_minimum=settings.baseline_minimum,
        lag_minimum=settings.lag_minimum,
        lag_window_s=settings.lag_window_s,
    )


def received_by_source(accounts: Sequence[Account]) -> dict[str, int]:
    """Records received per source: what the sealer counts from the bytes, or the indexer where it is ahead."""
    counts: dict[str, dict[str, int]] = {}
    for account in accounts:
        for source, outcomes in account.sources.items():
            if UNREADABLE in source or account.role not in {"seal", "index", "detect"}:
                continue
            roles = counts.setdefault(source, {})
            number = outcomes.get(RECEIVED, 0) + outcomes.get(COLLECT_REFUSED, 0)
            roles[account.role] = roles.get(account.role, 0) + number
    return {source: max(roles.values()) for source, roles in counts.items()}


class Memory(msgspec.Struct, frozen=True):
    """What the watch knows.

    Attributes:
        sources: By `namespace|format|collector`.
        lags: By role.
        retired: When each collector was taken out of service, milliseconds since 1970.
    """

    sources: dict[str, SourceState]
    lags: dict[str, LagState]
    retired: dict[str, int]


def remembered(entries: Iterable[tuple[bytes, bytes]]) -> Memory:
    """The watch's memory, from the (key, value) of its topic, oldest first.

    Raises:
        IntegrityError: An entry can't be read.
    """
    sources: dict[str, SourceState] = {}
    lags: dict[str, LagState] = {}
    retired: dict[str, int] = {}
    for key, value in entries:
        try:
            saved = _decoder.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise IntegrityError(f"reading the watch over sources: {exc}", where=f"{SOURCE_WATCH} key {key!r}") from exc
        if saved.source is not None:
            sources[saved.source.source] = saved.source
        if saved.lag is not None:
            lags[saved.lag.role] = saved.lag
        if saved.retired is not None:
            retired[saved.retired.collector] = saved.retired.at
    return Memory(sources, lags, retired)


class SourceWatch:
    """Looks, remembers, tells."""

    def __init__(
        self,
        runtime: Runtime,
        feed: Feed,
        read: Read,
        formats: Sequence[str],
        settings: WatchSettings,
        blind: BlindRules,
    ) -> None:
        """Compose; the memory is read at the first look."""
        self._runtime = runtime
        self._feed = feed
        self._read = read
        self._formats = formats
        self._limits = limits_of(settings)
        self._blind = blind
        self._sources: dict[str, SourceState] | None = None
        self._lags: dict[str, LagState] = {}

    def forget(self) -> None:
        """After a rebalance another worker may have watched."""
        self._sources = None

    @property
    def watches(self) -> bool:
        """Whether this worker is the one that watches."""
        return (DETECTIONS, 0) in self._runtime.progress.lag

    async def look(self) -> None:
        """Take one look at everything."""
        accounts, ends = await self._feed.look(topics_read(self._formats))
        sources = await self._memory()
        now = self._runtime.now()
        notices: list[Notice] = []
        grew: dict[str, dict[str, int]] = {}
        for state in sources.values():
            grew.setdefault(state.sender, {})[state.source] = state.grew_at
        for source, count in received_by_source(accounts).items():
            state = sources.setdefault(source, SourceState(source=source))
            beside = max((at for other, at in grew.get(state.sender, {}).items() if other != source), default=0)
            notices += observe(state, count, now, self._limits, beside=beside)
        for state in self._awaited(sources):
            came = sum(other.count for other in sources.values() if state.sender in (other.sender, other.collector))
            notices += observe(state, came, now, self._limits)
        notices = await self._in_service(notices, sources)
        for state in sources.values():
            self._measure(state)
        for role, waiting in lag_of(accounts, ends, self._formats).items():
            notices += observe_lag(self._lags.setdefault(role, LagState(role=role)), waiting, now, self._limits)
        await self._tell(notices)
        await self._save(sources)

    async def _memory(self) -> dict[str, SourceState]:
        if self._sources is None:
            memory = remembered(await self._read(SOURCE_WATCH))
            self._sources, self._lags = memory.sources, memory.lags
        return self._sources

    def _awaited(self, sources: dict[str, SourceState]) -> list[SourceState]:
        """Collectors of which an interval is stated and nothing ever came; the first record makes sources of them."""
        stated = self._limits.expected_s.keys()
        for state in [each for each in sources.values() if each.awaited and (each.count or each.sender not in stated)]:
            del sources[state.source]
        known = {name for state in sources.values() if not state.awaited for name in (state.sender, state.collector)}
        for name in stated - known:
            sources.setdefault(f"default||{name}", SourceState(source=f"default||{name}"))
        return [state for state in sources.values() if state.awaited]

    async def _in_service(self, notices: list[Notice], sources: Mapping[str, SourceState]) -> list[Notice]:
        """What is told of sources that nobody took out of service; `skytrail offboard` does, beside the watch."""
        if not any(state.silent_since or state.dropped_at for state in sources.values()):
            return notices
        retired = remembered(await self._read(SOURCE_WATCH)).retired
        for state in sources.values():
            if (at := retired.get(state.collector)) is not None:
                state.retire(at)
        return [each for each in notices if each.kind == "recovered" or not sources[each.about].retired_at]

    async def _tell(self, notices: Sequence[Notice]) -> None:
        found: list[Detection] = []
        for notice in notices:
            blind = self._blind(notice.about.split("|", 2)[1]) if "|" in notice.about else ()
            found.append(detection(notice, blind))
            log.warning("source watch", kind=notice.kind, about=notice.about, since=found[-1].at.isoformat())
        producer = self._runtime.producer
        await producer.send(DETECTIONS, await place_detections(producer, found))

    async def _save(self, sources: Mapping[str, SourceState]) -> None:
        saved = [(source.encode(), Saved(source=state)) for source, state in sources.items()]
        saved += [(f"lag|{role}".encode(), Saved(lag=state)) for role, state in self._lags.items()]
        await self._runtime.producer.send(
            SOURCE_WATCH, [(key, msgspec.msgpack.encode(value), None) for key, value in saved]
        )

    def _measure(self, state: SourceState) -> None:
        telemetry = self._runtime.telemetry
        telemetry.source_last.labels(state.source).set(state.grew_at / 1000)
        telemetry.source_expected.labels(state.source).set(expected_s(state, self._limits))
        telemetry.source_silent.labels(state.source).set(1 if state.silent_since else 0)
