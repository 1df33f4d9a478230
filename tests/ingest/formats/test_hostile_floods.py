"""What the watched party writes into a record costs time that grows with its length only.

The plain search for a secret with a run of backslashes before it, for one, tries each backslash as the beginning and
reads on to the end of the run: 300 KB of them, which fit an annotation of a pod, held a worker up for minutes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from ingest.formats.azure_records.redaction import redact as of_azure
from ingest.formats.gcp_audit.redaction import redact as of_google
from ingest.formats.kubernetes_audit.redaction import redact as of_kubernetes
from ingest.formats.oci_audit.redaction import redact as of_oracle

REDACTIONS = {"azure": of_azure, "gcp": of_google, "kubernetes": of_kubernetes, "oci": of_oracle}
FLOODS = [
    "\\",
    '"',
    '\\"',
    '"password\\',
    '"password":"',
    '"token\\',
    '"token":["x",',
    "eyJ",
    "sig=",
    "AccountKey=",
    "{",
]
NAMED = 'sig token= "password": \\"password\\" "token": "kind":"Secret" "kind":"ConfigMap" '
SIZE = 300_000
MOST_S = 5.0


def record_with(text: str) -> bytes:
    """An event whose request names secrets, and holds a text."""
    body = {"kind": "Secret", "password": "x", "token": "y", "metadata": {"annotations": {"note": NAMED + text}}}
    return json.dumps({"kind": "Event", "requestObject": body, "message": NAMED + text}).encode()


@pytest.mark.parametrize("flood", FLOODS)
@pytest.mark.parametrize("redact", REDACTIONS.values(), ids=REDACTIONS)
def test_a_text_of_nothing_but_beginnings_costs_a_moment(redact: Callable[[bytes], bytes], flood: str) -> None:
    record = record_with(flood * (SIZE // len(flood)))
    began = time.process_time()
    redact(record)
    redact(record[:-3])  # cut: it is no JSON, and its last text does not end
    assert time.process_time() - began < MOST_S


@pytest.mark.parametrize("redact", REDACTIONS.values(), ids=REDACTIONS)
def test_a_secret_in_json_in_a_text_is_still_taken_out_behind_such_a_flood(redact: Callable[[bytes], bytes]) -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
    found = redact(record_with("\\" * 1000 + json.dumps({"password": "hunter2"}) + token))
    assert b"c2lnbmF0dXJl" not in found
    assert json.loads(found)["kind"] == "Event"
