"""Shows for each rule of a public collection that an event of ours can make it fire: synthesised from the rule itself.

    uv run python -m tests.measure.public_rules ../shared/data/sigma             a line per format, then what is left
    uv run python -m tests.measure.public_rules ../shared/data/sigma -o json     every rule

An event is made that satisfies the rule's condition, with each value where the vendor writes it (`placing.py`), never
under the rule's own name for it. It takes the real road: bytes, format, document. Both engines must match it, and none
may match the event without those values. Rules that are refused, or that `rules lint`
names as blind, are counted apart.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from detectors.proving import no_file
from detectors.rule import Rule
from detectors.rule_tests import formats_of
from detectors.rulebook import load
from detectors.sigma.compiled.engine import CompiledEngine
from detectors.sigma.engine import InterpretedEngine
from ingest.document import Receipt, complete
from ingest.formats.contract import Format
from ingest.schema.errors import RejectedRecord
from tests.measure.placing import BASES, CONTRARY, event_of
from tests.measure.solving import Unsolved, Wanted, together, ways

_LISTS = """LegitCountries Legitimate_Countries Known_Location KNOWN_LOCATION UnLegitCountries ApprovedUserUpn
Approved_Inviters Important_AppIds HomeTenantID legtimate_identifiers"""
PLACEHOLDERS = dict.fromkeys(_LISTS.split(), ("DE",))
"""Lists of the site that some of the rules ask for."""
_RECEIPT = Receipt("default", "measure", dt.datetime(2026, 11, 23, tzinfo=dt.UTC), "measure", 0)

Outcome = Literal["fires", "refused", "blind", "not synthesised"]


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one rule.

    Attributes:
        file: Its file, below the collection.
        format: Whose events it sees; "" when of none.
        why: Why it does not fire.
    """

    file: str
    format: str
    outcome: Outcome
    why: str = ""


def judged(collection: Path) -> Iterator[Judged]:
    """Every rule on single events of a collection, in the order of the files."""
    book = load([collection], PLACEHOLDERS, prove=no_file)
    blind = {(found.file, found.rule): found.message for found in book.findings if "never match" in found.message}
    for finding in book.errors:
        yield Judged(_below(finding.file, collection), "", "refused", finding.message)
    for rule in book.evaluated:
        file = _below(rule.source, collection)
        formats = formats_of(rule)
        name = formats[0].name if formats else rule.log_source.product
        if why := blind.get((rule.source, rule.id)):
            yield Judged(file, name, "blind", why)
            continue
        why = _tried(rule, formats[0])
        yield Judged(file, name, "not synthesised" if why else "fires", why)


def _below(file: str, collection: Path) -> str:
    return str(Path(file).relative_to(collection))


def _tried(rule: Rule, format_: Format) -> str:
    """Why no event could be made that fires; "" when one could."""
    if format_.name not in BASES:
        return f"no event of {format_.name} to begin with"
    base = BASES[format_.name]
    plain = (base, {**base, **CONTRARY.get(format_.name, {})})
    if all(_fires(rule, format_, json.dumps(event).encode()) for event in plain):
        return "it fires on any event"
    why = "no way satisfies it"
    try:
        for wanted in ways(rule.condition):
            try:
                record = event_of(format_, _by_field(wanted))
                if _fires(rule, format_, record):
                    return ""
            except (LookupError, RejectedRecord, ValueError) as exc:
                why = str(exc).strip("'")
    except Unsolved as exc:
        return str(exc)
    return why


def _by_field(wanted: Sequence[Wanted]) -> dict[str, object]:
    fields: dict[str, list[Wanted]] = defaultdict(list)
    for one in wanted:
        fields[one.field].append(one)
    return {field: together(of_field) for field, of_field in fields.items()}


def _fires(rule: Rule, format_: Format, record: bytes) -> bool:
    """Whether both engines match a record.

    Raises:
        RejectedRecord: The format refuses it.
        AssertionError: The engines differ, or one raised.
    """
    event = complete(format_, record, _RECEIPT, _RECEIPT.received_at)
    view = event.reading.view()
    view.ecs = event.document
    plain = InterpretedEngine([rule], on_error=_raise)
    compiled = CompiledEngine([rule], on_error=_raise)
    answers = {
        "interpreted": bool(list(plain.match([view], format_.log_source))),
        "compiled": bool(list(compiled.match([view], format_.log_source))),
        "compiled, on bytes": bool(list(compiled.match_raw([record], format_))),
    }
    assert len(set(answers.values())) == 1, f"{rule.source}: {answers} on {record.decode()}"
    return answers["interpreted"]


def _raise(rule: Rule, error: Exception) -> None:
    raise AssertionError(f"{rule.source} raised {error!r}") from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection", type=Path, help="Directory of Sigma rules.")
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    options = parser.parse_args(arguments)
    found = list(judged(options.collection))
    if options.output == "json":
        sys.stdout.write(json.dumps([asdict(one) for one in found], indent=2) + "\n")
        return
    outcomes: Sequence[Outcome] = ("fires", "not synthesised", "blind", "refused")
    counts = Counter((one.format or "(none)", one.outcome) for one in found)
    sys.stdout.write(f"| format | {' | '.join(outcomes)} |\n| --- |{' --- |' * len(outcomes)}\n")
    for name in sorted({name for name, _ in counts}):
        sys.stdout.write(f"| {name} | {' | '.join(str(counts[name, outcome]) for outcome in outcomes)} |\n")
    for one in found:
        if one.outcome == "not synthesised":
            sys.stdout.write(f"not synthesised: {one.file}: {one.why}\n")


if __name__ == "__main__":
    main()
