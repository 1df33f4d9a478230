"""How far each object of a bucket was read and acknowledged; survives a restart."""

from __future__ import annotations

from pathlib import Path

from ingest.schema.errors import SourceUnavailable
from ingest.transports.checkpoints.table import Located, MarkTable

_TABLE = """
CREATE TABLE IF NOT EXISTS objects (
    locator TEXT PRIMARY KEY, generation INTEGER NOT NULL, offset INTEGER NOT NULL, ordinal INTEGER NOT NULL,
    done INTEGER NOT NULL, seen_day INTEGER NOT NULL
) WITHOUT ROWID;
"""


class Mark(Located, frozen=True, kw_only=True):
    """How far one object was acknowledged; its locator is `bucket/name`.

    Attributes:
        generation: Of the object that was read; another one is read from its start.
        offset: Bytes acknowledged.
        ordinal: Records acknowledged.
        done: All of it.
    """

    generation: int
    offset: int
    ordinal: int
    done: bool


class Marks(MarkTable[Mark]):
    """The marks of a bucket; see `MarkTable`."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, Mark, "objects", _TABLE)

    def unfinished(self, prefix: str) -> list[str]:
        """Locators with this prefix of objects that were read in part."""
        found = self.where("done = 0 AND substr(locator, 1, ?) = ?", (len(prefix), prefix))
        return [mark.locator for mark in found]


def lost(how: str, mark: Mark) -> SourceUnavailable:
    """An object whose end can't be read any longer."""
    return SourceUnavailable(
        f"reading object: it {how} after {mark.offset} bytes of generation {mark.generation} were read; the rest of "
        "that is lost at the source",
        where=mark.locator,
        mend="find out who did it; keep the older generations of this bucket, or keep objects for longer",
    )
