"""Which controls of standards and laws are satisfied, by what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from skytrail.reports.cells import quoted
from skytrail.reports.control_map import frameworks, overview, section_of
from skytrail.reports.facts import Ground, all_facts, measured
from skytrail.reports.gathering import Asked
from skytrail.reports.report import Section

TITLE = "Controls and their evidence"


async def gather(asked: Asked) -> Sequence[Section]:
    """Measure every fact that a control rests on.

    Raises:
        ConfigError: The map of controls is damaged.
    """
    known = all_facts()
    chosen = frameworks(known)
    names = [name for framework in chosen for control in framework.control for name in control.facts]
    facts = await measured(Ground(asked), names, known)
    words = {True: "holds", False: "does not hold", None: "unknown"}
    measured_facts = Section(
        name="facts",
        title="Facts that were measured",
        text="Each was measured while this report was made; docs/reports.md says how.",
        columns=("fact", "result", "figures"),
        rows=tuple((name, words[fact.holds], quoted(fact.told)) for name, fact in sorted(facts.items())),
    )
    return [overview(chosen, facts), *(section_of(each, facts) for each in chosen), measured_facts]
