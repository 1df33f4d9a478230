"""Laws and standards that say how long logs are kept: dated rows of `regimes.toml`, not code.

A row is never changed once it shipped: what replaces it is a new row, and the old one stays for what was received under
it. Not legal advice; rows that nobody compared with their source lately say so.
"""

from __future__ import annotations

import datetime as dt
import functools
import tomllib
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from ingest.schema.errors import ConfigError
from storage.retention.periods import Period, as_period

_T = TypeVar("_T")
SHIPPED = Path(__file__).with_name("regimes.toml")
_Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,59}$")]
_Text = Annotated[str, msgspec.Meta(min_length=1)]


class Regime(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One dated row.

    Attributes:
        id: Of this row; for ever.
        regime: What policies name. All rows of one regime are versions of each other.
        version: Edition of the text.
        clause: Where in it.
        text: What it says, in our words.
        valid_from: First day on which it is in force.
        valid_to: First day on which it is not any more.
        superseded_by: The row that came after.
        minimum: For how long at least.
        minimum_hot: For how long at least searchable at once.
        maximum: For how long at most.
        needs: What a class under it must state itself: `maximum` and `purpose`.
        duties: What else it asks for.
        checked: When the row was last compared with its source; empty: not lately, so do it before you quote it.
        note: What one should know about the row.
    """

    id: _Name
    regime: _Name
    version: _Text
    clause: _Text
    text: _Text
    source_url: Annotated[str, msgspec.Meta(pattern="^https://")]
    valid_from: dt.date
    valid_to: dt.date | None = None
    superseded_by: str = ""
    minimum: Period | None = None
    minimum_hot: Period | None = None
    maximum: Period | None = None
    needs: tuple[str, ...] = ()
    duties: tuple[str, ...] = ()
    checked: str = ""
    note: str = ""

    def in_force(self, first: dt.date, last: dt.date) -> bool:
        """Whether it was in force on a day of this span, both ends included."""
        return self.valid_from <= last and (self.valid_to is None or self.valid_to > first)


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    regime: tuple[Regime, ...]


@functools.cache
def shipped() -> tuple[Regime, ...]:
    """The rows that this build ships.

    Raises:
        ConfigError: The file was damaged.
    """
    rows = convert(read_toml(SHIPPED), _File, str(SHIPPED)).regime
    check_rows(rows, str(SHIPPED))
    return rows


def check_rows(rows: tuple[Regime, ...], where: str) -> None:
    """Refuse rows that contradict each other.

    Raises:
        ConfigError: Naming the rows.
    """
    known: dict[str, Regime] = {}
    for row in rows:
        if row.id in known:
            raise ConfigError(f"reading regimes: two rows are called {row.id}", where=where)
        known[row.id] = row
    for row in rows:
        if row.superseded_by and row.superseded_by not in known:
            raise ConfigError(f"reading regimes: {row.id} names {row.superseded_by}, which is no row", where=where)
        if row.valid_to is not None and row.valid_to <= row.valid_from:
            raise ConfigError(f"reading regimes: {row.id} ends before it begins", where=where)
        if row.minimum and row.minimum_hot and row.minimum_hot.exceeds(row.minimum):
            raise ConfigError(f"reading regimes: {row.id} wants {row.minimum_hot} of {row.minimum} hot", where=where)


def read_toml(path: Path) -> dict[str, Any]:
    """The values of a TOML file.

    Raises:
        ConfigError: It can't be read.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(f"reading {path.name}: {exc}", where=str(path), mend="mend the TOML file") from exc


def convert(values: dict[str, Any], kind: type[_T], where: str) -> _T:
    """Values as a type of ours; unknown keys are refused.

    Raises:
        ConfigError: Saying what does not fit, and where.
    """
    try:
        return msgspec.convert(values, kind, dec_hook=as_period)
    except (msgspec.ValidationError, ValueError) as exc:
        mend = "docs/retention.md lists every key; unknown ones are refused so that none is ignored"
        raise ConfigError(f"reading retention rules: {exc}", where=where, mend=mend) from exc
