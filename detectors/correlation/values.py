"""Values of fields as signals have them: texts of bounded length, JSON texts that make groups, numbers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from detectors.correlation.model import NUMERIC, Correlation
from detectors.sigma.fields import Fields
from detectors.sigma.values import number_of, text_of

MAX_NUMBER = 1e200  # a larger one is no number of anything, and a few would exceed what can be summed up
MAX_VALUE = 256  # bytes in UTF-8; a longer one is cut and told apart by its hash: a state must fit into a message


def computes(one: Correlation) -> bool:
    """Whether the values of a correlation are numbers to compute with."""
    return one.kind in NUMERIC and not (one.kind == "value_percentile" and one.percentile is None)


def numbers_in(values: Iterable[Any]) -> tuple[float, ...]:
    """Those that are numbers, or are written as one."""
    return tuple(number for number in map(_number, values) if number is not None)


def texts_of(fields: Fields, name: str) -> list[str]:
    """The different values of a field as JSON texts, in order."""
    texts = {text_of(value) for value in fields.values(name) if value is not None}
    return sorted(json.dumps(cut_text(text), ensure_ascii=False) for text in texts)


def smallest(values: Iterable[Any]) -> str:
    """The smallest value of a field as JSON text, so that the order in a list decides nothing; empty without one."""
    texts = sorted(text_of(value) for value in values if value is not None)
    return json.dumps(cut_text(texts[0]), ensure_ascii=False) if texts else ""


def cut_text(text: str) -> str:
    """A text that is not too long for a state."""
    written = text.encode("utf-8", "replace")  # lone surrogates can't be written
    if len(written) <= MAX_VALUE:
        return written.decode()
    digest = hashlib.sha256(written).hexdigest()
    return f"{written[: MAX_VALUE - 65].decode('utf-8', 'ignore')}#{digest}"


def _number(value: Any) -> float | None:
    number = number_of(value)
    return float(number) if number is not None and -MAX_NUMBER <= number <= MAX_NUMBER else None
