"""A taken id is a replay, a duplicate, or someone who rewrote an event."""

from __future__ import annotations

import pytest

from ingest.schema.envelope import Position
from storage.index.conflicts import Conflict, verdict

PLACE = Position("skytrail.raw.aws.cloudtrail.v1", 3, 7, 11)
CONFLICT = Conflict("logs-aws.cloudtrail-default-2026.11.22", "id", "ab12", PLACE)
KAFKA = {"topic": PLACE.topic, "partition": 3, "offset": 7, "index": 11}
OTHER = {**KAFKA, "index": 12}


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ({"found": True, "_source": {"event": {"hash": "ab12"}, "skytrail": {"kafka": KAFKA}}}, "replay"),
        (
            {"found": True, "_source": {"event": {"hash": "ab12"}, "skytrail": {"kafka": OTHER}}},
            "duplicate",
        ),
        ({"found": True, "_source": {"event": {"hash": "ab12"}}}, "duplicate"),
        ({"found": True, "_source": {"event": {"hash": "ffff"}, "skytrail": {"kafka": KAFKA}}}, "equivocation"),
        ({"found": True, "_source": {}}, "equivocation"),
        ({"found": False}, "missing"),
        ({"error": {"type": "index_not_found_exception"}}, "missing"),
    ],
)
def test_the_verdict_follows_from_leaf_and_place(stored, expected) -> None:
    assert verdict(CONFLICT, stored) == expected
