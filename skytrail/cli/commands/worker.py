"""`skytrail worker`: runs one role."""

from __future__ import annotations

import asyncio
import signal
from enum import StrEnum

import typer

from ingest.formats.registry import all_formats
from ingest.pseudonyms.key_file import open_pseudonyms
from skytrail.cli.context import context_of
from streams.topics import all_topics


class RoleName(StrEnum):
    """The roles of workers."""

    SEAL = "seal"
    DETECT = "detect"
    INDEX = "index"
    ROTATE = "rotate"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(worker)


def worker(context: typer.Context, role: RoleName) -> None:
    """Run a role until SIGTERM: seal (archive), detect (rules, alerts), index (Elasticsearch). Start more to scale.

    The role rotate carries out the adopted retention policy; one worker of it does, more wait to take over. It needs
    the keys of the ledger: run it where a seal worker runs.

    Kafka may be away: at its start a worker waits for it and says so; later it waits, or starts again in place.
    Exit code 1: it crashed or was stuck, and must be started again by its supervisor.

    Examples:  skytrail worker seal   |   skytrail worker detect   |   skytrail worker index
               skytrail worker rotate
    """
    from skytrail.rotating import Rotating  # noqa: PLC0415 - as below
    from streams.broker_wait import prepare_topics  # noqa: PLC0415 - as below
    from streams.roles import Parts, run_role  # noqa: PLC0415 - Faust is heavy, and only workers need it
    from streams.runtime import utc_now  # noqa: PLC0415 - same
    from streams.worker import stop_at_once  # noqa: PLC0415 - same

    signal.signal(signal.SIGTERM, stop_at_once)  # until Faust has its own
    settings = context_of(context).connected(elasticsearch=role is not RoleName.SEAL)
    asyncio.run(prepare_topics(settings.kafka, all_topics(list(all_formats()))))
    parts = Parts(
        kafka=settings.kafka,
        elasticsearch=settings.elasticsearch,
        archive=settings.archive,
        archive_dir=settings.archive_dir,
        ledger=settings.ledger,
        keys_file=settings.keys_file,
        state_dir=settings.state_dir,
        worker=settings.worker,
        detection=settings.detection,
        watch=settings.watch,
        audit=settings.audit,
        retention=settings.retention,
        pseudonyms=lambda: open_pseudonyms(settings.pseudonyms, settings.state_dir, settings.archive_dir),
        rounds=lambda: Rotating(settings, utc_now),
    )
    run_role(role.value, parts)
