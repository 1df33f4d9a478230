"""A checkpoint that is one JSON file, replaced durably as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from ingest.durable_files import replace_durably
from ingest.schema.errors import ConfigError

VERSION = 1


class Versioned(msgspec.Struct, kw_only=True):
    """What stands in such a file.

    Attributes:
        version: Another one was written by another Skytrail.
    """

    version: int = VERSION


DocumentT = TypeVar("DocumentT", bound=Versioned)


def load(file: Path, kind: type[DocumentT], *, otherwise: str) -> DocumentT | None:
    """What a file holds; None where there is none.

    Args:
        otherwise: What happens without the file, for people.

    Raises:
        ConfigError: It is there and can't be read.
    """
    mend = f"restore it, or move it away: {otherwise}"
    try:
        document = msgspec.json.decode(file.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise ConfigError(f"reading checkpoint: {exc}", where=str(file), mend=mend) from exc
    if document.version != VERSION:
        raise ConfigError(f"reading checkpoint: version {document.version} is unknown", where=str(file), mend=mend)
    return document


def store(file: Path, document: Versioned) -> None:
    """Replace a file.

    Raises:
        OSError: It can't be written; the old one stays.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_durably(file, msgspec.json.format(msgspec.json.encode(document), indent=1))
