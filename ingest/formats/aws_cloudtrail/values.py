"""Reading single values whose type may differ from what the vendor documents.

CloudTrail changes types between versions and channels (`readOnly` as text, `userAgent` as a list, account ids as
numbers in exports). A surprising type never loses the event: where the target is a keyword the value becomes text,
elsewhere it is left out and stays in `event.original`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ingest.parsing.java_text import java_text

NOTHING: Mapping[str, Any] = MappingProxyType({})
_ACCOUNT_DIGITS = 12
_TRUE = frozenset({"true", "yes"})
_FALSE = frozenset({"false", "no"})


def text_of(value: Any) -> str:
    """A keyword for any value: text as it is, the only element of a list, else Java text."""
    if value.__class__ is str:
        return value
    if isinstance(value, list) and len(value) == 1:
        return text_of(value[0])
    return java_text(value)


def optional_text(value: Any) -> str | None:
    """As `text_of`, but None for nothing: null, or empty text, list or map."""
    if value.__class__ is str:
        return value or None
    if value is None or value in ([], {}):
        return None
    return text_of(value) or None


def texts(source: Mapping[str, Any], table: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """The values of `source` named on the left of `table`, as text under the names on the right."""
    found: dict[str, Any] = {}
    for name, target in table:
        value = source.get(name)
        if value is not None:
            found[target] = value if value.__class__ is str else text_of(value)
    return found


def mapping_of(value: Any) -> Mapping[str, Any]:
    """The value when it is an object, else an empty one."""
    return value if value.__class__ is dict else NOTHING


def boolean_of(value: Any) -> bool | None:
    """`true`, `"True"`, `"Yes"` and their opposites; None for anything else."""
    if value.__class__ is bool:
        return value
    if value.__class__ is str:
        word = value.lower()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
    return None


def account_of(value: Any) -> str | None:
    """An account id; exports that made it a number lost its leading zeros, which come back here."""
    if value.__class__ is int:
        return str(value).zfill(_ACCOUNT_DIGITS)
    return optional_text(value)


def arn_part(arn: str) -> str:
    """The last part of an ARN: `alice` of `arn:aws:iam::111122223333:user/ops/alice`, `root` of `…:root`."""
    return arn.rpartition(":")[2].rpartition("/")[2]


def arn_account(arn: str) -> str | None:
    """The account in an ARN; None for another text, and for ARNs that name none or AWS itself."""
    parts = arn.split(":", 5)
    if len(parts) == 6 and parts[0] == "arn" and parts[4].isdigit():  # noqa: PLR2004 - arn:partition:service:region:account:resource
        return parts[4]
    return None
