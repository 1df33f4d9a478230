"""Composes a role: its app, its agents, what they write to. One function a role; `run_role` starts it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from detectors import equivocation
from detectors.rulebook import Rulebook, load
from detectors.sigma.engine import Engine, InterpretedEngine, applies
from detectors.source_watch import alerts as source_alerts
from ingest.formats.registry import all_formats
from ingest.pseudonyms.pseudonyms import Pseudonyms
from ingest.schema.errors import IndexUnavailable
from ingest.settings import AuditSettings, KafkaSettings
from storage.archive.contents import of_envelope, of_letter
from storage.archive.opening import open_archive
from storage.archive.sealer import PartitionSealer
from storage.index.alert_store import AlertStore
from storage.index.client import check_server, connect
from storage.index.conflicts import compare
from storage.index.product import product_mend
from storage.index.writer import Writer
from storage.retention.stamping import open_stamps
from storage.settings import ArchiveSettings, ElasticsearchSettings, LedgerSettings, RetentionSettings
from streams.accounts_feed import AccountsFeed
from streams.agents.alert import AlertAgent
from streams.agents.correlate import CorrelateAgent
from streams.agents.detect import DetectAgent, Rules
from streams.agents.index import IndexAgent
from streams.agents.resolve import ResolveAgent
from streams.agents.rotate import RotateAgent, Rounds
from streams.agents.seal import SealAgent
from streams.anchoring import keep_anchored
from streams.app import StoppingApp, attach, build_app
from streams.correlation_state import CorrelationStates
from streams.garbage import collect_seldom
from streams.keep_out import keep_out
from streams.ledger import open_notary, ready_data_keys
from streams.naming import dataset_of, namer, rotating
from streams.observing import BulkObserver
from streams.own_actions import Tell, teller
from streams.preparing import Limits
from streams.refetch import Refetch
from streams.rights_check import check_rights
from streams.rule_reload import RuleReload, announce
from streams.rules_awaited import RulesAwaited
from streams.rules_building import rules_builder
from streams.rules_in_force import load_rules, rule_paths
from streams.runtime import Runtime, utc_now
from streams.settings import DetectionSettings, WatchSettings, WorkerSettings
from streams.snapshots import Snapshots
from streams.source_watch import SourceWatch
from streams.stamping import ALERT_PATIENCE_S, PATIENCE_S, DocumentStamps, segment_promise
from streams.topics import (
    ALERT_STATE,
    CONFLICTS,
    CORRELATION_STATE,
    DEAD_LETTERS,
    DETECTIONS,
    ROTATION,
    SIGNALS,
    raw_topic,
)
from streams.windows import Windows
from streams.worker import Pulse, always_ready, run

SEAL_ENVELOPES = 20  # about one segment
CLOCK_INTERVAL_S = 5.0
Close = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a role is composed of, besides Kafka.

    Attributes:
        pseudonyms: Opens their keys; asked for by the roles that write documents or tell alerts.
        rounds: Opens what rotates; asked for by that role alone.
    """

    kafka: KafkaSettings
    elasticsearch: ElasticsearchSettings
    archive: ArchiveSettings
    archive_dir: Path
    ledger: LedgerSettings
    keys_file: Path
    state_dir: Path
    worker: WorkerSettings
    detection: DetectionSettings
    watch: WatchSettings
    audit: AuditSettings
    retention: RetentionSettings
    pseudonyms: Callable[[], Pseudonyms]
    rounds: Callable[[], Rounds]


@dataclass(slots=True)
class Composed:
    """A role ready to run.

    Attributes:
        on_assigned: Called after each rebalance, before the first batch.
        close: Finishes work and closes connections.
        ready: Says what is missing, for /readyz.
    """

    app: StoppingApp
    runtime: Runtime
    ruleset: str = ""
    on_assigned: list[Callable[[], None]] = field(default_factory=list)
    close: list[Close] = field(default_factory=list)
    ready: Callable[[], Awaitable[str]] = always_ready


def run_role(role: str, parts: Parts) -> NoReturn:
    """Compose and run a role until it is told to stop.

    Raises:
        ConfigError: Something is set wrongly, or an identity may do more than its duty; nothing was started.
    """
    check_rights(role, parts.elasticsearch)
    composed = COMPOSERS[role](parts)

    async def assigned(*_: Any, **__: Any) -> None:
        for forget in composed.on_assigned:
            forget()

    composed.app.on_partitions_assigned.connect(assigned, weak=False)

    async def close() -> None:
        for one in composed.close:
            await one()

    collect_seldom()
    pulse = Pulse(composed.runtime, composed.app, ready=composed.ready, ruleset=composed.ruleset, close=close)
    run(composed.runtime, composed.app, pulse)


def _begin(role: str, parts: Parts, buffer: int) -> Composed:
    app = build_app(role, parts.kafka, parts.worker, buffer=buffer, data_dir=parts.state_dir)
    return Composed(app, Runtime(role, parts.kafka, parts.worker))


def compose_seal(parts: Parts) -> Composed:
    """The sealer: raw topics and dead letters into the archive. Needs no Elasticsearch."""
    composed = _begin("seal", parts, 4 * SEAL_ENVELOPES)
    store = open_archive(parts.archive, parts.archive_dir)
    store.probe()
    keys = ready_data_keys(parts.archive, parts.archive_dir, parts.state_dir)
    waiting = composed.runtime.waiting
    stamps = open_stamps(store, parts.retention)
    notary = open_notary(parts.ledger, parts.archive, parts.archive_dir, parts.keys_file, waiting)

    def open_sealer(topic: str, partition: int) -> PartitionSealer:
        records_of = of_letter if topic == DEAD_LETTERS else of_envelope
        promise = segment_promise(stamps, dataset_of(topic))
        return PartitionSealer(
            store, topic, partition, parts.archive, utc_now, records_of=records_of, keys=keys, promise=promise
        )

    accounts = composed.runtime.accounts("seal")
    agent = SealAgent(composed.runtime, accounts, open_sealer, notary)
    topics = [*map(raw_topic, all_formats()), DEAD_LETTERS]
    attach(composed.app, "seal", topics, agent.handle, size=SEAL_ENVELOPES, wait_s=parts.archive.segment_max_age_s)
    composed.on_assigned += [accounts.forget, agent.forget]

    if parts.ledger.witnesses or parts.ledger.authorities:
        composed.close.append(keep_anchored(composed.app, composed.runtime, store, parts.ledger))

    @composed.app.task  # type: ignore[untyped-decorator]
    async def tell_idle_chains() -> None:
        while not composed.app.should_stop:
            await asyncio.sleep(min(CLOCK_INTERVAL_S, parts.ledger.heartbeat_interval_s / 4))
            await agent.beat(place for place in composed.runtime.progress.lag if place[0] in topics)

    return composed


def compose_detect(parts: Parts) -> Composed:
    """The detector: rules over raw topics, and alerts from what they found."""
    size = parts.worker.envelopes_per_batch
    composed = _begin("detect", parts, 8 * size)
    runtime = composed.runtime
    book = load_rules(parts.detection)
    composed.ruleset = book.version
    build = rules_builder(runtime)
    announce(book, runtime.telemetry)
    accounts = runtime.accounts("detect")
    detector = DetectAgent(
        runtime,
        accounts,
        build(book),
        namer=namer(parts.elasticsearch, rotating(parts.retention)),
        limits=limits(parts.worker),
        pseudonyms=parts.pseudonyms(),
    )
    client = connect(parts.elasticsearch, "alerter")
    writer = Writer(client, observer=BulkObserver(runtime), mend=product_mend())
    known = {rule.id: rule for rule in (*book.everything, equivocation.rule(), *source_alerts.rules())}
    alerter = AlertAgent(
        runtime,
        runtime.accounts("alert"),
        Windows(Snapshots(ALERT_STATE, DETECTIONS, runtime.log, runtime.producer), runtime.now),
        AlertStore(writer, parts.elasticsearch.period),
        rule_of=known.get,
        stamps=document_stamps(parts, ALERT_PATIENCE_S),
    )
    wait_s = parts.worker.batch_wait_s
    attach(composed.app, "detect", list(map(raw_topic, all_formats())), detector.handle, size=size, wait_s=wait_s)
    attach(composed.app, "alert", [DETECTIONS], alerter.handle, size=size, wait_s=wait_s)
    awaited = RulesAwaited(parts.detection.reload_patience_s, runtime.waiting, runtime.read)
    states = CorrelationStates(
        detector.rules.router,
        Snapshots(CORRELATION_STATE, SIGNALS, runtime.log, runtime.producer),
        rules=awaited,
    )
    correlator = CorrelateAgent(runtime, runtime.accounts("correlate"), states)
    attach(composed.app, "correlate", [SIGNALS], correlator.handle, size=8 * size, wait_s=wait_s)
    composed.on_assigned += [detector.forget, alerter.forget, correlator.forget, awaited.stay]
    composed.app.on_revoking = [awaited.leave]
    composed.close.append(client.close)

    def use(changed: Rulebook, rules: Rules) -> None:
        known.update((rule.id, rule) for rule in changed.everything)
        detector.rules = rules
        awaited.offer(rules.router)

    tell = teller(runtime, "detect", "rules.reload", parts.audit.namespace)
    reload_rules(composed, book, parts.detection, build, use, tell)
    if parts.watch.sources:
        watch_sources(composed, parts, lambda: detector.rules.engine)

    @composed.app.task  # type: ignore[untyped-decorator]
    async def tell_the_time() -> None:
        while not composed.app.should_stop:
            await asyncio.sleep(CLOCK_INTERVAL_S)
            await detector.tick()

    return composed


def watch_sources(composed: Composed, parts: Parts, engine: Callable[[], Engine]) -> None:
    """Let the worker that has the first partition of the detections watch over the sources."""
    formats = {name: format_ for name, format_ in all_formats().items() if not format_.own}  # people come and go

    def blind(format_name: str) -> list[str]:
        source = formats[format_name].log_source if format_name in formats else None
        return [rule.id for rule in engine().rules if source and applies(rule.log_source, source)]

    feed = AccountsFeed(parts.kafka)
    watch = SourceWatch(composed.runtime, feed, composed.runtime.read, list(formats), parts.watch, blind)
    composed.on_assigned.append(watch.forget)
    composed.close.append(feed.close)

    @composed.app.task  # type: ignore[untyped-decorator]
    async def look_after_sources() -> None:
        while not composed.app.should_stop:
            await asyncio.sleep(parts.watch.look_interval_s)
            if watch.watches:
                await composed.runtime.patiently(watch.look)


def reload_rules(
    composed: Composed,
    book: Rulebook,
    detection: DetectionSettings,
    build: Callable[[Rulebook], Rules],
    use: Callable[[Rulebook, Rules], None],
    tell: Tell,
) -> None:
    """Watch the rule files while the role runs."""
    watched = RuleReload(
        book,
        rule_paths(detection),
        load=lambda: load_rules(detection),
        build=build,
        use=use,
        telemetry=composed.runtime.telemetry,
        tell=tell,
    )

    @composed.app.task  # type: ignore[untyped-decorator]
    async def watch_rules() -> None:
        await watched.watch(detection.reload_interval_s)


def compose_index(parts: Parts) -> Composed:
    """The indexer: raw topics into Elasticsearch, and the resolver of conflicts beside it."""
    size = parts.worker.envelopes_per_batch
    composed = _begin("index", parts, 8 * size)
    runtime, search = composed.runtime, parts.elasticsearch
    name = namer(search, rotating(parts.retention))
    clients = [connect(search, "indexer"), connect(search, "reader")]
    writer = Writer(
        clients[0],
        bulk_bytes=search.bulk_max_bytes,
        in_flight=search.bulk_in_flight,
        timeout_s=search.request_timeout_s,
        observer=BulkObserver(runtime),
        mend=product_mend(),
    )
    filters = load(parts.detection.index_filters, parts.detection.placeholders, strict=True)
    stamps, pseudonyms = document_stamps(parts, PATIENCE_S), parts.pseudonyms()
    accounts, resolving = runtime.accounts("index"), runtime.accounts("resolve")
    agent = IndexAgent(
        runtime,
        accounts,
        writer,
        namer=name,
        limits=limits(parts.worker),
        keep_out=keep_out(
            InterpretedEngine(
                filters.rules, on_error=lambda rule, _: runtime.telemetry.rule_errors.labels(rule.id).inc()
            )
        ),
        stamps=stamps,
        pseudonyms=pseudonyms,
    )
    resolver = ResolveAgent(
        runtime,
        resolving,
        compare=lambda conflicts: compare(clients[1], conflicts),
        fetch=Refetch(parts.kafka),
        writer=writer,
        namer=name,
        limits=limits(parts.worker),
        stamps=stamps,
        pseudonyms=pseudonyms,
    )
    wait_s = parts.worker.batch_wait_s
    attach(composed.app, "index", list(map(raw_topic, all_formats())), agent.handle, size=size, wait_s=wait_s)
    attach(composed.app, "resolve", [CONFLICTS], resolver.handle, size=size, wait_s=wait_s)
    composed.on_assigned += [accounts.forget, resolving.forget]
    composed.close += [client.close for client in clients]

    async def ready() -> str:
        try:
            await asyncio.wait_for(check_server(clients[0]), 5)
        except (IndexUnavailable, TimeoutError) as exc:
            return f"Elasticsearch: {exc}"
        return ""

    composed.ready = ready
    return composed


def compose_rotate(parts: Parts) -> Composed:
    """The rotator: on a timer, one worker lets go of what the adopted policy no longer keeps."""
    composed = _begin("rotate", parts, 4)
    runtime, settings = composed.runtime, parts.retention
    tell = teller(runtime, "rotate", "retention.rotate", parts.audit.namespace, "deletion")
    agent = RotateAgent(runtime, parts.rounds(), settings, tell, lambda: not composed.app.should_stop)
    attach(composed.app, "rotate", [ROTATION], agent.handle, size=1, wait_s=parts.worker.batch_wait_s)
    composed.on_assigned.append(agent.forget)

    @composed.app.task  # type: ignore[untyped-decorator]
    async def rotate_in_time() -> None:
        while not composed.app.should_stop:
            await asyncio.sleep(min(CLOCK_INTERVAL_S, settings.disk_interval_s))
            await agent.look()

    return composed


def document_stamps(parts: Parts, patience_s: float) -> DocumentStamps:
    """Stamps by the policies that the ledgers of the archive hold."""
    stamps = open_stamps(open_archive(parts.archive, parts.archive_dir), parts.retention)
    return DocumentStamps(stamps, patience_s=patience_s)


def limits(worker: WorkerSettings) -> Limits:
    """Believable event times."""
    return Limits.of(worker.max_future_h, worker.max_age_d)


COMPOSERS: dict[str, Callable[[Parts], Composed]] = {
    "seal": compose_seal,
    "detect": compose_detect,
    "index": compose_index,
    "rotate": compose_rotate,
}
