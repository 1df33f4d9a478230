"""Names of a vendor's objects in the vendor's spelling, whatever the channel made of them.

Some channels write all names in lower case, tools write `event-id` or `insert_id`, and single names vary (`callerIP`).
Only names whose meaning is fixed are brought back; free-form bodies stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Names:
    """The names of one kind of object.

    Attributes:
        exact: In the vendor's spelling.
        folded: Without case, hyphens and underscores, with what stands for them elsewhere.
        below: Those whose value is another such object, or a list of them.
    """

    def __init__(self, names: str, below: Mapping[str, Names] | None = None, **others: str) -> None:
        """Read a table.

        Args:
            names: The names, blanks between them.
            below: Names of objects inside, with theirs.
            others: Folded names of other origin and what they stand for.
        """
        self.below = below or {}
        self.exact = frozenset((*names.split(), *self.below))
        self.folded = {_fold(name): name for name in self.exact} | others

    def respell(self, value: dict[str, Any]) -> None:
        """Bring the names of an object back, in place. A name that stands there in both spellings stays."""
        if not self.exact.issuperset(value):
            for name in [name for name in value if name not in self.exact]:
                known = self.folded.get(_fold(name))
                if known and known not in value:
                    value[known] = value.pop(name)
        for name, names in self.below.items():
            inner = value.get(name)
            for one in inner if inner.__class__ is list else (inner,):
                if one.__class__ is dict:
                    names.respell(one)


def _fold(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
