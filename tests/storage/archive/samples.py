"""Messages, clocks and sealers for the tests of the archive."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from pathlib import Path

from ingest.schema.envelope import Envelope, Header, Origin, encode
from storage.archive.contents import of_envelope
from storage.archive.reader import ArchiveReader
from storage.archive.sealer import PartitionSealer
from storage.archive.store import ArchiveStore
from storage.archive.stores.filesystem import FilesystemStore
from storage.datakeys.keys import DataKeys
from storage.settings import ArchiveSettings
from storage.verify.archive import check

TOPIC = "skytrail.raw.aws.cloudtrail.v1"
START = dt.datetime(2026, 3, 1, 12, 0, 0, tzinfo=dt.UTC)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now: dt.datetime = START) -> None:
        self.now = now

    def __call__(self) -> dt.datetime:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += dt.timedelta(seconds=seconds)


def header(namespace: str = "acme", *, second: int = 0, locator: str = "bucket/key.json.gz") -> Header:
    return Header(
        format="aws.cloudtrail",
        namespace=namespace,
        collector="files-1",
        received_at=START + dt.timedelta(seconds=second),
        origin=Origin(transport="files", locator=locator, sha256="ab" * 32),
    )


def message(namespace: str, *records: bytes, second: int = 0, locator: str = "bucket/key.json.gz") -> bytes:
    return encode(Envelope(header=header(namespace, second=second, locator=locator), records=records))


def stream(count: int = 12) -> dict[int, bytes]:
    """Messages of two namespaces, one poison message among them; the records are all different."""
    messages: dict[int, bytes] = {}
    for offset in range(count):
        namespace = "acme" if offset % 3 else "globex"
        records = [
            f'{{"id":"{offset}-{i}","line":"a\\nb"}}\n'.encode() + b"x" * (offset * 7) for i in range(offset % 4 + 1)
        ]
        messages[offset] = message(namespace, *records, second=offset, locator=f"bucket/{offset // 2}")
    if count > 5:
        messages[5] = b"\x07 not an envelope"
    return messages


def open_store(root: Path, **options: object) -> FilesystemStore:
    """A store that does not wait for the disk."""
    return FilesystemStore(root, fsync=lambda _: None, **options)  # type: ignore[arg-type]


def sealer(
    store: ArchiveStore,
    clock: Clock | None = None,
    settings: ArchiveSettings | None = None,
    keys: DataKeys | None = None,
) -> PartitionSealer:
    return PartitionSealer(store, TOPIC, 0, settings or ArchiveSettings(), clock or Clock(), keys=keys)


def seal_in_batches(
    store: ArchiveStore,
    messages: Mapping[int, bytes],
    edges: Iterable[int],
    clock: Clock,
    keys: DataKeys | None = None,
) -> None:
    """Seal with a new sealer, closing a batch after each offset in `edges` and at the end."""
    one = sealer(store, clock, keys=keys)
    one.restore()
    closing = set(edges)
    for offset, value in messages.items():
        one.add(offset, value)
        if offset in closing:
            clock.pass_(1)
            one.seal()
    clock.pass_(1)
    one.seal()


def expected_records(messages: Mapping[int, bytes]) -> dict[tuple[str, int, int], bytes]:
    """(namespace, offset, index) → bytes, as the archive must have them."""
    found: dict[tuple[str, int, int], bytes] = {}
    for offset, value in messages.items():
        content = of_envelope(value)
        for index, record in enumerate(content.records):
            found[content.namespace, offset, index] = record
    return found


def assert_complete_and_clean(root: Path, messages: Mapping[int, bytes]) -> None:
    """The oracle: the verifier finds nothing, and every record is there exactly once at its place."""
    assert list(check(root)) == []
    reader = ArchiveReader(open_store(root))
    places = [
        (record.namespace, record.position.offset, record.position.index, record.body)
        for namespace in reader.namespaces()
        for record in reader.records(namespace)
    ]
    assert sorted(places) == sorted((*place, body) for place, body in expected_records(messages).items())
