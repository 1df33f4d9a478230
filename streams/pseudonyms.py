"""Puts documents and what rules saw under the pseudonyms of their namespace, before they leave a role."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import orjson

from ingest.document import Identified
from ingest.formats.contract import View
from ingest.pseudonyms.pseudonyms import Pseudonyms
from storage.index.documents import serialise

NO_PSEUDONYMS = Pseudonyms()


def indexed(pseudonyms: Pseudonyms, document: dict[str, Any]) -> dict[str, Any]:
    """A complete document as it is indexed; itself where its namespace has no pseudonyms.

    It is read again from its own JSON before: so it is the one that the archive's record gives later, odd characters
    and huge numbers included.
    """
    if not pseudonyms.covers(document["data_stream"]["namespace"]):
        return document
    return pseudonyms.document(_plain(document))


def under_pseudonyms(pseudonyms: Pseudonyms, identified: Identified) -> Identified:
    """The same with the document as it is indexed."""
    document = indexed(pseudonyms, identified.document)
    return identified if document is identified.document else dataclasses.replace(identified, document=document)


def told(
    pseudonyms: Pseudonyms, namespace: str, views: Sequence[View], identified: Sequence[Identified]
) -> tuple[Sequence[View], Sequence[Identified]]:
    """Records that rules matched, as alerts and correlations may know them: tokens in the place of people.

    Rules were evaluated before, on what the records say.
    """
    if not views or not pseudonyms.covers(namespace):
        return views, identified
    plain = (View(_plain(each.vendor), _plain(each.ecs), each.final, each.member) for each in views)
    return [pseudonyms.view(each) for each in plain], [under_pseudonyms(pseudonyms, each) for each in identified]


def _plain(tree: Any) -> Any:
    return orjson.loads(serialise(tree))
