"""Runs one collector: what `skytrail collect` and `skytrail ingest …` have in common."""

from __future__ import annotations

import asyncio
import datetime as dt
import signal
from collections.abc import Awaitable, Callable

from ingest.backoff import Backoff
from ingest.collector import Collector, Counts, Identity, Limits
from ingest.formats.recognition import of_source
from ingest.publisher import KafkaPublisher
from ingest.schema.errors import ConfigError, SkytrailError
from ingest.settings import CollectorSettings, collector_name
from ingest.transports.contract import Place, Transport
from ingest.transports.registry import as_collector, open_leftover, open_transport
from skytrail.cli.output import progress, say
from skytrail.data_keys import data_keys
from skytrail.offboarding.closing import refuse_closed, running, until_closed
from skytrail.settings import Settings
from storage.archive.objects import put_object
from storage.archive.opening import open_archive
from streams.topics import DEAD_LETTERS, raw_topic

Opener = Callable[[Place], Awaitable[Transport]]


async def run_collector(
    name: str, settings: CollectorSettings, found: Settings, *, opener: Opener | None = None
) -> Counts:
    """Run one collector to its end, or until SIGTERM or SIGINT; progress on stderr.

    Args:
        name: Of the collector, in the accounting and for its checkpoints.
        settings: The collector.
        found: Everything else that is configured.
        opener: Opens the transport; None: as the settings say.

    Raises:
        SkytrailError: As the transport and the format say; it was offboarded.
        ConfigError: No collector may have this name.
    """
    checked_name(name)
    refuse_closed(found.state_dir, name)
    with running(found.state_dir, name):
        return await _run(name, settings, found, opener or (lambda place: open_transport(settings, place)))


async def empty_spool(name: str, settings: CollectorSettings, found: Settings, timeout_s: float) -> int:
    """Bring what a collector that has ended left in its spool to Kafka; how many bodies are left in it.

    Args:
        name: Of the collector.
        settings: The collector.
        found: Everything else that is configured.
        timeout_s: Seconds after which what is left stays.

    Raises:
        ConfigError: Another process has the spool.
    """
    rest = open_leftover(settings, _place(name, settings, found))
    if rest is None:
        return 0
    if not rest.left:
        await rest.close()
        return 0

    async def opened(place: Place) -> Transport:
        del place
        return rest

    say(f"{name}: {rest.left:,} bodies lie in its spool; they go to Kafka first")
    await _run(name, settings, found, opened, stops_after_s=timeout_s)
    return rest.left


def _place(name: str, settings: CollectorSettings, found: Settings) -> Place:
    return Place(name, found.state_dir, _warn, lambda: dt.datetime.now(dt.UTC), settings.max_inflated_bytes)


async def _run(
    name: str, settings: CollectorSettings, found: Settings, opener: Opener, *, stops_after_s: float | None = None
) -> Counts:
    """Run it; one that is not to stop after a time stops when it is closed."""
    store, keys = open_archive(found.archive, found.archive_dir), data_keys(found)
    place = _place(name, settings, found)
    identity = Identity(name, settings.namespace, of_source(settings.format))
    publisher = KafkaPublisher(found.kafka, raw_topic=raw_topic, dead_letter_topic=DEAD_LETTERS)
    transport = await opener(place)
    with progress() as display:
        task = display.add_task(f"{name}: {settings.format}", total=None, note="")

        def tell(counts: Counts) -> None:
            note = f"{counts.received:,} records, {counts.dead_lettered} refused, {counts.bytes / 1e6:.1f} MB"
            display.update(task, completed=counts.bodies, note=note)

        collector = Collector(
            identity,
            transport,
            publisher,
            put_object=lambda namespace, body: put_object(store, namespace, body, keys, dt.datetime.now(dt.UTC)),
            clock=lambda: dt.datetime.now(dt.UTC),
            limits=Limits(max_inflated_bytes=settings.max_inflated_bytes),
            backoff=Backoff(on_alarm=lambda error, seconds: say(f"waiting for {seconds:.0f} s: {error}")),
            on_progress=tell,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, collector.stop)
        closing = asyncio.create_task(
            until_closed(found.state_dir, name, collector.stop)
            if stops_after_s is None
            else _after(stops_after_s, collector.stop)
        )
        try:
            return await collector.run()
        finally:
            closing.cancel()
            await publisher.close()


async def _after(seconds: float, stop: Callable[[], None]) -> None:
    await asyncio.sleep(seconds)
    stop()


def checked_name(name: str) -> None:
    """Let through what a collector may be called.

    Raises:
        ConfigError: It may not.
    """
    try:
        collector_name(name)
    except ValueError as exc:
        raise ConfigError(f"naming a collector: {exc}", mend="choose another name") from exc


def checked_collector(**values: object) -> CollectorSettings:
    """A collector made of options.

    Raises:
        ConfigError: An option is wrong.
    """
    try:
        collector: CollectorSettings = as_collector(values)
    except ValueError as exc:
        problems = "; ".join(f"{e['loc'][-1]}: {e['msg']}" for e in getattr(exc, "errors", list)())
        raise ConfigError(f"reading options: {problems or exc}", mend="correct the option; see --help") from exc
    return collector


def _warn(error: SkytrailError) -> None:
    say(f"warning: {error}")
