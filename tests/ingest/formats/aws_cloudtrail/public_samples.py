"""Public sample events that lie beside the repository on a developer's machine; never part of it."""

import gzip
import json
from pathlib import Path
from typing import Any

SHARED = Path(__file__).parents[5] / "shared" / "data"


def events_of(folder: str) -> list[dict[str, Any]]:
    """CloudTrail events of a folder of cases; none where the folder is absent."""
    path = SHARED / folder / "cases.jsonl.gz"
    if not path.exists():
        return []
    with gzip.open(path) as lines:
        cases = [json.loads(line) for line in lines]
    return [case["event"] for case in cases if case["source"] == "aws.cloudtrail"]


def stratus_events() -> list[dict[str, Any]]:
    """Events of real attack runs."""
    return events_of("stratus")
