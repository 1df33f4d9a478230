"""What is wrong or odd about a rule, for people: the answer of `rules lint`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One remark.

    Attributes:
        file: File of the rule.
        rule: Id of the rule, "" when it could not be read.
        severity: `error`: the rule is not loaded; `warning`: it is.
        message: What, and what to do.
    """

    file: str
    rule: str
    severity: Literal["error", "warning"]
    message: str

    def __str__(self) -> str:
        subject = f"{self.file} ({self.rule})" if self.rule else self.file
        return f"{self.severity}: {subject}: {self.message}"
