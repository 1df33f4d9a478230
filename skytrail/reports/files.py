"""The files of a report: JSON, page, PDF, tables and the signature over all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ingest.schema.errors import ConfigError
from skytrail.reports.page import html, table
from skytrail.reports.pdf import pdf
from skytrail.reports.report import Report
from skytrail.reports.signing import NOTE, signed
from storage.archive.opening import archive_at
from storage.ledger.signing import NoteSigner

DOCUMENT = "report.json"


def files_of(report: Report, signers: Sequence[NoteSigner]) -> dict[str, bytes]:
    """Every file of a report by its name, the note among them."""
    body = report.encode()
    digest = hashlib.sha256(body).hexdigest()
    files = {DOCUMENT: body, "report.html": html(report, digest), "report.pdf": pdf(report, digest)}
    files |= {f"{section.name}.csv": table(section) for section in report.sections if section.columns}
    return {**files, NOTE: signed(files, signers)}


def write(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write them into a new directory.

    Raises:
        ConfigError: It exists, or can't be written.
    """
    try:
        directory.mkdir(parents=True)
        for name, body in files.items():
            (directory / name).write_bytes(body)
    except OSError as exc:
        mend = "name a directory that does not exist yet: a report is never changed"
        raise ConfigError(f"writing report: {exc.strerror}", where=str(directory), mend=mend) from exc


def read(place: str) -> dict[str, bytes]:
    """Every file of a report that was written or delivered.

    Args:
        place: A directory, or the address of a folder in a bucket or container.

    Raises:
        ConfigError: It can't be read, or holds no report.
        StoreUnavailable: The bucket does not answer.
    """
    files = dict(_delivered(place) if "://" in place else _written(Path(place)))
    if NOTE not in files:
        raise ConfigError(f"reading report: there is no {NOTE}", where=place, mend="name its directory")
    return files


def _written(directory: Path) -> Iterator[tuple[str, bytes]]:
    try:
        for file in sorted(directory.iterdir()):
            yield (f"{file.name}/", b"") if file.is_dir() else (file.name, file.read_bytes())
    except OSError as exc:
        raise ConfigError(f"reading report: {exc.strerror}", where=str(directory), mend="name its directory") from exc


def _delivered(address: str) -> Iterator[tuple[str, bytes]]:
    store = archive_at(address)
    for key in store.keys(""):
        if "/" in key:
            raise ConfigError("reading report: there are folders here", where=address, mend="name the folder of one")
        yield key, store.get(key) or b""
