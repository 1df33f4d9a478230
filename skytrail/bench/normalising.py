"""What the pure part of a role costs per record: from received bytes to the document as Elasticsearch gets it."""

from __future__ import annotations

import datetime as dt
import functools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from ingest.document import Receipt, complete
from ingest.formats.contract import Format
from ingest.formats.registry import format_named
from ingest.pseudonyms.pseudonyms import PseudonymKey, Pseudonyms
from ingest.pseudonyms.tokens import SECRET_BYTES
from skytrail.bench.rounds import Clock, Contender, Tell, best_of
from skytrail.bench.samples import HARD, LARGE_BYTES, SEED, everyday, hard
from storage.index.documents import serialise
from streams.pseudonyms import indexed as in_tokens

END: Final = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
"""End of the generated day; fixed, so that every run measures the same bytes."""
EVERYDAY: Final = "everyday"
_LARGE_SHARE: Final = 100  # 100 KB bodies are so much larger that fewer of them take as long
_RECEIPT: Final = Receipt(
    "bench", "bench", END, "AWSLogs/777788889999/CloudTrail/eu-west-1/2026/11/22/bench.json.gz", 17
)


@dataclass(frozen=True, slots=True)
class Row:
    """One stage on one set of records.

    Attributes:
        records: Kind of records.
        record_bytes: Mean size.
        stage: What was done with each record, from its bytes on.
        us_per_event: CPU time, microseconds.
        events_per_s: The same as a rate of one core.
        times_parsing: The cost in terms of `parse only` of the same records and run.
    """

    format: str
    records: str
    record_bytes: int
    stage: str
    us_per_event: float
    events_per_s: int
    times_parsing: float


def stages(format_: Format) -> dict[str, Callable[[bytes], Any]]:
    """What can be done with a record, each from its bytes on; `parse only` is the measure of the others."""
    pseudonyms = Pseudonyms([_RECEIPT.namespace], keys=[PseudonymKey(bytes(SECRET_BYTES))])

    def completed(record: bytes) -> Any:
        return complete(format_, record, _RECEIPT, END)

    def detected(record: bytes) -> Any:
        return complete(format_, record, _RECEIPT, END).reading.view()

    def indexed(record: bytes) -> bytes:
        return serialise(complete(format_, record, _RECEIPT, END).document)

    def hidden(record: bytes) -> bytes:
        return serialise(in_tokens(pseudonyms, complete(format_, record, _RECEIPT, END).document))

    return {
        "parse only": orjson.loads,
        "identify": format_.identify,
        "view": format_.view,
        "normalise": format_.normalise,
        "complete": completed,
        "complete + view (role detect, before its rules)": detected,
        "complete + serialise (role index)": indexed,
        "complete + pseudonyms + serialise (role index under pseudonyms)": hidden,
    }


def measure(
    format_names: Sequence[str],
    count: int,
    rounds: int,
    *,
    tell: Callable[[str, int, int], None] = lambda _label, _done, _all: None,
    clock: Clock = time.process_time,
) -> Iterator[Row]:
    """Measure every stage of these formats, on everyday and on hard records.

    Args:
        format_names: Formats.
        count: Everyday records of each.
        rounds: Measured rounds; the best counts.
        tell: Hears what is measured, rounds done, rounds in all.
        clock: Seconds of CPU.
    """
    for name in format_names:
        records = everyday(name, count, seed=SEED, end=END)
        sets = {EVERYDAY: records}
        for kind in HARD:
            few = records[: max(1, count // _LARGE_SHARE)] if str(LARGE_BYTES // 1000) in kind else records
            sets[kind] = hard(kind, name, few)
        for kind, chosen in sets.items():
            yield from _rows(name, kind, chosen, rounds, clock, functools.partial(tell, f"{name}, {kind}"))


def _rows(name: str, kind: str, records: Sequence[bytes], rounds: int, clock: Clock, tell: Tell) -> Iterator[Row]:
    todo = stages(format_named(name))
    # one list each: a stage must not find its records in the caches because the one before it has just read them
    contenders = [
        Contender(stage, _over(run, list(map(bytes, map(bytearray, records))))) for stage, run in todo.items()
    ]
    best = best_of(contenders, rounds, clock=clock, tell=tell)
    parsing = best["parse only"]
    for stage in todo:
        seconds = best[stage]
        yield Row(
            format=name,
            records=kind,
            record_bytes=round(sum(map(len, records)) / len(records)),
            stage=stage,
            us_per_event=round(seconds / len(records) * 1e6, 2),
            events_per_s=round(len(records) / seconds),
            times_parsing=round(seconds / parsing, 2),
        )


def _over(run: Callable[[bytes], Any], records: Iterable[bytes]) -> Callable[[], object]:
    """Does it with each record; results are dropped at once."""
    return lambda: deque(map(run, records), maxlen=0)
