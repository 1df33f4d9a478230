"""The ECS document of a record, made when a rule first asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from detectors.sigma.engine import DocumentOf
from ingest.formats.contract import Reading, View
from ingest.schema.errors import RejectedRecord

Make = Callable[[], Mapping[str, Any]]


def view_of(place: int, reading: Reading, document_of: DocumentOf | None) -> View:
    """What rules see of a record."""
    view = reading.view()
    view.ecs = LazyDocument(reading.normalise if document_of is None else lambda: document_of(place, reading))
    return view


class LazyDocument(Mapping[str, Any]):
    """Looks like the document; empty when the record has none."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Make) -> None:
        self._make = make
        self._made: Mapping[str, Any] | None = None

    def __getitem__(self, name: str) -> Any:
        return self._document()[name]

    def __contains__(self, name: object) -> bool:
        return name in self._document()

    def __iter__(self) -> Iterator[str]:
        return iter(self._document())

    def __len__(self) -> int:
        return len(self._document())

    def _document(self) -> Mapping[str, Any]:
        if self._made is None:
            try:
                self._made = self._make()
            except RejectedRecord:
                self._made = {}  # as `View.ecs` says of a record that normalising refuses; the indexer reports it
        return self._made
