"""Which items of a rule's condition its own tests pin: whoever may drop one unnoticed has not shown that it matters.

Not every item can be pinned. Most `eventSource` can't: no other service has a call of that name, and an event that
never stands in a log proves nothing. So what is held is a number, which only falls.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from detectors.rule import Rule
from detectors.sigma.interpret import holds
from detectors.sigma.parse import parse
from detectors.sigma.yaml_source import read_documents
from tests.detectors.shipped import shipped
from tests.detectors.test_near_misses import fields_of, format_of

GRAVE = ("high", "critical")
UNPINNED_AT_MOST = 220
"""Items of grave rules that may be dropped without a test of the rule noticing; lower it with every near miss."""
ALWAYS: Mapping[str, Any] = {"skytrail.no.such.field": None}
Place = tuple[str | int, ...]


def items_of(body: Any, path: Place) -> Iterator[Place]:
    """Paths of the items of a search identifier."""
    pairs = body.items() if isinstance(body, Mapping) else enumerate(body) if isinstance(body, list) else ()
    for name, value in pairs:
        if isinstance(body, Mapping):
            yield (*path, name)
        else:
            yield from items_of(value, (*path, name))


def without(detection: Mapping[str, Any], path: Place) -> dict[str, Any]:
    """A detection without one item; a map that it leaves empty holds always."""
    changed: Any = copy.deepcopy(dict(detection))
    node = changed
    for step in path[:-1]:
        node = node[step]
    del node[path[-1]]
    if not node:
        node.update(ALWAYS)
    return dict(changed)


def unpinned(rule: Rule) -> list[str]:
    """Items that may be dropped: every test of the rule says the same without."""
    document = next(each for each in read_documents(Path(rule.source).read_text(), where="") if each["name"] == rule.id)
    events = [(test.fires, fields_of(format_of(rule, test), test.event)[0]) for test in rule.tests]
    found = []
    for name, body in document["detection"].items():
        for path in items_of(body, (name,)) if name != "condition" else ():
            changed = parse({**document, "detection": without(document["detection"], path)}, where="").condition
            if all(bool(holds(changed, fields)) == fires for fires, fields in events):
                found.append(f"{rule.id}: {'.'.join(map(str, path))}")
    return found


def test_no_more_items_of_grave_rules_go_unpinned_than_before() -> None:
    found = [item for rule in shipped().rules if rule.level in GRAVE for item in unpinned(rule)]
    assert len(found) <= UNPINNED_AT_MOST, found


def test_an_item_that_no_test_asks_for_is_found() -> None:
    (rule,) = (rule for rule in shipped().rules if rule.id == "aws-ransom-note-written")
    assert "aws-ransom-note-written: selection.eventName" not in unpinned(rule)
    (miss,) = (test for test in rule.tests if "reading a note" in test.name)
    less = dataclasses.replace(rule, tests=tuple(test for test in rule.tests if test is not miss))
    assert "aws-ransom-note-written: selection.eventName" in unpinned(less)
