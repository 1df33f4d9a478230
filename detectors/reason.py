"""Words a reason: fills the `{field}` places of a rule's sentence with what stood in the event.

`{a|b}` takes the first of several fields that has a value.

Values come from whoever made the event, an attacker included: they are cut, and control characters (line breaks,
bidirectional overrides) are taken out, so that a reason is one honest line wherever it is shown.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from detectors.sigma.fields import Fields
from detectors.sigma.values import text_of

MAX_VALUE = 160  # characters of one value
MAX_REASON = 1000  # characters of the sentence
UNKNOWN = "(unknown"  # begins what stands for a missing value
SHOWN_VALUES = 3  # of a field with several

SHORTHANDS = {
    "principal": "skytrail.principal.display",
    "account": "cloud.account.id",
    "address": "source.address",
    "cluster": "orchestrator.cluster.name",
}
"""Places that any rule may use without knowing the format."""

_PLACE = re.compile(r"\{([^{}\s][^{}]*)\}")
_HIDDEN = frozenset(("Cc", "Cf", "Co", "Cs", "Zl", "Zp"))  # Unicode categories that show nothing or move the text


def word_reason(template: str, fields: Fields) -> str:
    """The sentence for one event; a field without value is worded as unknown."""
    sentence = _PLACE.sub(lambda place: _words(place[1], fields), template)
    return clean(sentence, MAX_REASON)


def places_of(template: str) -> tuple[str, ...]:
    """Names of the fields a template reads, shorthands resolved."""
    return tuple(_full(name) for place in _PLACE.findall(template) for name in place.split("|"))


def clean(text: str, limit: int = MAX_VALUE) -> str:
    """Text on one line without hidden characters, cut to `limit` characters with an ellipsis."""
    if text.isascii() and text.isprintable() and len(text) <= limit:
        return " ".join(text.split())  # nothing to hide or to cut: nearly every value
    shown = "".join(" " if c in "\t\r\n" else c for c in text[: 4 * limit] if c in "\t\r\n" or not _hides(c))
    shown = " ".join(shown.split())
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _hides(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN


def _full(name: str) -> str:
    return SHORTHANDS.get(name, name)


def _words(place: str, fields: Fields) -> str:
    names = place.split("|")
    for name in names:
        values = [clean(text_of(v)) for v in fields.values(_full(name)) if v is not None]
        shown = _listed([v for v in dict.fromkeys(values) if v])
        if shown:
            return shown
    return f"{UNKNOWN} {_plain(names[0])})"


def _listed(values: Sequence[Any]) -> str:
    rest = len(values) - SHOWN_VALUES
    return ", ".join(values[:SHOWN_VALUES]) + (f" and {rest} more" if rest > 0 else "")


def _plain(name: str) -> str:
    """The last part of a path in words: `requestParameters.roleName` → "role name"."""
    last = name.rsplit(".", 1)[-1].replace("_", " ").replace("-", " ")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", last).lower()
