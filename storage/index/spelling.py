"""How Elasticsearch is asked for a name in upper and lower case: clouds write one e-mail address in several ways."""

from __future__ import annotations

from typing import Any


def in_any_case(field: str, name: str) -> list[dict[str, Any]]:
    """Queries of which one finds a document whose field is this name.

    Elasticsearch takes the letters of ASCII alone as the same in upper and lower case. So a name with others is asked
    for as it is written, all lower, all upper, and with words that begin upper.
    """
    spelled = {name} if name.isascii() else {name, name.lower(), name.upper(), name.title(), name.casefold()}
    return [{"term": {field: {"value": each, "case_insensitive": True}}} for each in sorted(spelled)]
