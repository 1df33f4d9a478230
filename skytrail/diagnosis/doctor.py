"""Runs every check of `skytrail doctor`, in the order in which a person would mend things."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from ingest.schema.errors import EngineError, SkytrailError
from skytrail.connections import connected
from skytrail.diagnosis.check import Check, State, Step, failed, guarded
from skytrail.diagnosis.configuration import (
    collector_checks,
    pseudonym_checks,
    rules_checks,
    safety_checks,
    secret_file_checks,
)
from skytrail.diagnosis.elasticsearch import check_elasticsearch
from skytrail.diagnosis.kafka import check_kafka
from skytrail.diagnosis.ledger import ledger_checks
from skytrail.diagnosis.machine import disk_checks, engine_checks
from skytrail.settings import Settings

LAG_PAUSE_S = 2.0


async def diagnose(load: Callable[[], Settings]) -> AsyncIterator[Check]:
    """Every check, as it is known; one that can't be made is a fail or skipped, and the others go on.

    Args:
        load: Reads the settings.
    """
    try:
        settings = load()
    except SkytrailError as exc:
        yield failed("settings", exc)
        yield Check("everything else", "skipped", "it needs the settings")
        return
    yield Check("settings", "ok", "read, and every name is known")
    for name, step in _here(settings):
        for check in await guarded(name, step):
            yield check
    there = await asyncio.gather(_kafka(settings), _elasticsearch(settings))
    for group in there:
        for check in group:
            yield check


def _here(settings: Settings) -> Sequence[tuple[str, Step]]:
    """The checks that need no network but to the local engines."""
    secrets = [settings.engines_home / "engines.json", *settings.archive.encryption.secret_files.values()]

    def step(look: Callable[[], Iterable[Check]]) -> Step:
        async def taken() -> Iterable[Check]:
            return await asyncio.to_thread(lambda: list(look()))

        return taken

    return (
        ("safety", step(lambda: [*safety_checks(settings), *secret_file_checks(secrets)])),
        ("disk", step(lambda: disk_checks(settings))),
        ("ledger", step(lambda: ledger_checks(settings, dt.datetime.now(dt.UTC)))),
        ("pseudonyms", step(lambda: pseudonym_checks(settings))),
        ("rules", step(lambda: rules_checks(settings))),
        ("collectors", step(lambda: collector_checks(settings))),
        ("local engines", step(lambda: engine_checks(settings))),
    )


def _state(error: SkytrailError) -> State:
    """Engines that were never started are a fail already, under their own name."""
    return "skipped" if isinstance(error, EngineError) else "fail"


async def _kafka(settings: Settings) -> list[Check]:
    try:
        kafka = connected(settings, elasticsearch=False).kafka
    except SkytrailError as exc:
        return [failed("kafka", exc, _state(exc))]
    return await check_kafka(kafka, lambda: asyncio.sleep(LAG_PAUSE_S))


async def _elasticsearch(settings: Settings) -> list[Check]:
    try:
        elasticsearch = connected(settings, kafka=False).elasticsearch
    except SkytrailError as exc:
        return [failed("elasticsearch", exc, _state(exc))]
    return await check_elasticsearch(elasticsearch, lambda: dt.datetime.now(dt.UTC))
