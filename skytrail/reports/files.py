"""The files of a report: JSON, page, PDF, tables and the signature over all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from ingest.schema.errors import ConfigError
from skytrail.reports.page import html, table
from skytrail.reports.pdf import pdf
from skytrail.reports.report import Report
from skytrail.reports.signing import NOTE, signed
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


def read(directory: Path) -> dict[str, bytes]:
    """Every file of a report that was written.

    Raises:
        ConfigError: The directory can't be read, or holds no report.
    """
    try:
        files = {file.name: file.read_bytes() for file in sorted(directory.iterdir()) if file.is_file()}
    except OSError as exc:
        raise ConfigError(f"reading report: {exc.strerror}", where=str(directory), mend="name its directory") from exc
    if NOTE not in files:
        raise ConfigError(f"reading report: there is no {NOTE}", where=str(directory), mend="name its directory")
    return files
