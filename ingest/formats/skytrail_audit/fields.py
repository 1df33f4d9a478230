"""Fields of records of Skytrail's own actions besides the common ones."""

from __future__ import annotations

from ingest.schema.fields import Field

_ROOT = "skytrail.audit."

FIELDS: tuple[Field, ...] = (
    Field(f"{_ROOT}program", "keyword", "what acted: cli, or a role of a worker"),
    Field(f"{_ROOT}kind", "keyword", "access, change or deletion"),
    Field(f"{_ROOT}target", "keyword", "what it was done to: an id, a name"),
    Field(f"{_ROOT}query", "wildcard", "what was searched for"),
    Field(f"{_ROOT}result_count", "long", "how many results were given"),
    Field(f"{_ROOT}purpose", "keyword", "why, in the words of whoever acted"),
    Field(f"{_ROOT}details", "flattened", "everything that was asked for"),
)
