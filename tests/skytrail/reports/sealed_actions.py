"""Actions of people, sealed in an archive as the seal role seals them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from ingest.schema.action import FORMAT_NAME, Action, encode
from ingest.schema.envelope import Envelope
from ingest.schema.envelope import encode as enveloped
from ingest.settings import AuditSettings
from storage.archive.sealer import PartitionSealer
from storage.settings import ArchiveSettings
from streams.topics import raw_topic
from tests.faults.material import header
from tests.storage.archive.samples import Clock, open_store


def seal_actions(archive: Path, actions: Sequence[Action]) -> None:
    """Seal them, each received when it happened."""
    clock = Clock()
    sealer = PartitionSealer(open_store(archive), raw_topic(FORMAT_NAME), 0, ArchiveSettings(), clock)
    sealer.restore()
    for number, each in enumerate(actions):
        told = msgspec.structs.replace(header(AuditSettings().namespace, FORMAT_NAME), received_at=each.at)
        clock.now = each.at
        sealer.add(number, enveloped(Envelope(header=told, records=(encode(each),))))
    sealer.seal()
