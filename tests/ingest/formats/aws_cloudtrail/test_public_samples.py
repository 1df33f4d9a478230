"""Real and hand-made events of others: each becomes a document, or is refused for a reason that holds."""

import json

import pytest

from ingest.formats.aws_cloudtrail.format import FORMAT
from ingest.schema.errors import MalformedRecord
from tests.ingest.formats.aws_cloudtrail.conformity import faults
from tests.ingest.formats.aws_cloudtrail.public_samples import SHARED, events_of


@pytest.mark.skipif(not SHARED.is_dir(), reason="the public samples do not lie beside this repository")
@pytest.mark.parametrize(("folder", "counts"), [("stratus", (310, 0)), ("panther", (189, 12))])
def test_every_public_sample_is_mapped_or_refused_with_a_reason(folder: str, counts: tuple[int, int]) -> None:
    events = events_of(folder)
    mapped = 0
    for event in events:
        try:
            document = FORMAT.normalise(json.dumps(event).encode())
        except MalformedRecord:
            # no time at all, a time that is a word, or no event at all
            assert event.get("eventTime") in (None, "redacted")
            assert "eventtime" not in event
        else:
            assert faults(document) == []
            mapped += 1
    assert (mapped, len(events) - mapped) == counts, "mapped and refused"
