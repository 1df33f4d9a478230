"""Identity, refusals and what rules see."""

import json

import pytest

from ingest.formats.gcp_vpcflow.format import FORMAT
from ingest.schema.errors import MalformedRecord
from tests.ingest.formats.conformity import Golden

GOLDEN = Golden(FORMAT)


def _entry() -> dict[str, object]:
    entry: dict[str, object] = json.loads(GOLDEN.body("outbound_https_reported_by_the_source"))
    return entry


def test_a_flow_is_identified_by_insert_id_time_and_log_together() -> None:
    record = GOLDEN.record("outbound_https_reported_by_the_source")
    entry = _entry()
    assert FORMAT.identify(record) == f"{entry['insertId']}|{entry['timestamp']}|{entry['logName']}"
    assert FORMAT.identify(GOLDEN.record("without_timestamp")) is None


def test_rules_see_numbers_where_google_writes_text() -> None:
    flow = FORMAT.view(GOLDEN.record("outbound_https_reported_by_the_source")).vendor["jsonPayload"]
    assert (flow["bytes_sent"], flow["packets_sent"], flow["connection"]["dest_port"]) == (18520, 31, 443)


def test_both_ends_report_the_same_flow_under_one_community_id() -> None:
    entry = _entry()
    ids = []
    for reporter in ("SRC", "DEST"):
        flow = {**entry["jsonPayload"], "reporter": reporter}  # type: ignore[dict-item]
        ids.append(FORMAT.normalise(json.dumps({**entry, "jsonPayload": flow}).encode())["network"]["community_id"])
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"logName": "projects/p/logs/compute.googleapis.com%2Ffirewall"}, "it is of the log"),
        (
            {"jsonPayload": {"connection": {"src_ip": "10.0.0.1"}, "disposition": "DENIED"}},
            "decision of a firewall rule",
        ),
        ({"jsonPayload": None, "protoPayload": {}}, "no jsonPayload"),
        ({"logName": None, "jsonPayload": {"text": "x"}}, "names no log"),
    ],
)
def test_a_record_of_another_log_is_refused_with_its_reason(change: dict[str, object], why: str) -> None:
    with pytest.raises(MalformedRecord, match=why):
        FORMAT.normalise(json.dumps({**_entry(), **change}).encode())


def test_a_flow_without_any_time_is_refused() -> None:
    entry = _entry()
    flow = {"connection": {"src_ip": "10.0.0.1"}, "reporter": "SRC"}
    bare = {"logName": entry["logName"], "jsonPayload": flow}
    with pytest.raises(MalformedRecord, match="no readable time"):
        FORMAT.normalise(json.dumps(bare).encode())
    assert FORMAT.view(json.dumps(bare).encode()).vendor["jsonPayload"] == flow
