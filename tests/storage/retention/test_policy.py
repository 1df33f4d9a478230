"""What a policy may say, and what is refused, naming both rows."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ingest.schema.errors import ConfigError
from storage.archive.manifest import canonical
from storage.ledger.signing import NoteSigner
from storage.retention.policy import decode, encode, read_policy
from storage.retention.regimes import shipped
from tests.storage.retention.samples import policy

WHOLE = """
version = 1
name = "acme-2026"
time = "receipt"

[approvals]
release = 2
expiry = 1

[people]
alice = "ALICE"

[[class]]
name = "cards"
namespaces = ["shop", "shop_*"]
datasets = ["aws.*"]
regimes = ["pci-dss", "works-council"]
hot = "P6M"
cold = "P2Y"
rotation = [{period = "day"}, {since = 2027-01-01, period = "week", max_size = "20GiB"}]

[[class]]
name = "rest"
cold = "P1Y"

[[regime]]
id = "works-council-2025"
regime = "works-council"
version = "2025"
clause = "§ 4"
text = "Three years at most."
source_url = "https://intranet.example.org/works-council"
valid_from = 2025-01-01
maximum = "P3Y"
"""


ALICE = str(NoteSigner("alice.example.org", Ed25519PrivateKey.from_private_bytes(b"a" * 32)).key)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "retention.toml"
    path.write_text(text.replace("ALICE", ALICE), "utf-8")
    return path


def test_a_policy_carries_the_rows_that_it_names_and_no_others(tmp_path: Path) -> None:
    found = read_policy(write(tmp_path, WHOLE))
    assert [row.id for row in found.regime] == ["pci-dss-4.0.1-10.5.1", "works-council-2025"]
    cards = found.class_of("shop_eu", "aws.cloudtrail")
    assert cards is not None
    assert cards.name == "cards"
    assert cards.rotation[1].max_bytes == 20 * 2**30
    assert cards.rotation[1].since == dt.date(2027, 1, 1)
    rest = found.class_of("shop", "gcp.audit")
    assert rest is not None
    assert rest.name == "rest"


def test_a_policy_of_the_ledger_is_the_one_that_was_written(tmp_path: Path) -> None:
    found = read_policy(write(tmp_path, WHOLE))
    assert decode(encode(found), "ledger") == found
    assert canonical(encode(found)) == canonical(encode(decode(encode(found), "ledger")))


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("[approvals]", "colour = 1\n[approvals]", "colour"),
        ('hot = "P6M"', 'warm = "P6M"', "warm"),
        ('"pci-dss", ', '"pci-dsss", ', "pci-dsss"),
        ('cold = "P2Y"', 'cold = "12 months"', "12 months"),
        ('cold = "P2Y"', 'cold = "P364D"', r"cold of class 'cards' \(P364D\).*pci-dss-4.0.1-10.5.1 \(P12M\)"),
        ('hot = "P6M"', 'hot = "P2M"', r"hot of class 'cards' \(P2M\).*pci-dss-4.0.1-10.5.1 \(P3M\)"),
        ('hot = "P6M"', 'hot = "P25M"', r"cold of class 'cards' \(P2Y\).*hot of class 'cards' \(P2Y1M\)"),
        ('cold = "P2Y"', 'cold = "P4Y"', r"works-council-2025 \(P3Y\).*cold of class 'cards' \(P4Y\)"),
        ('maximum = "P3Y"', 'maximum = "P11M"', r"works-council-2025 \(P11M\).*pci-dss-4.0.1-10.5.1 \(P12M\)"),
        ('cold = "P2Y"', 'cold = "P2Y"\nmaximum = "P6M"', r"maximum of class 'cards' \(P6M\).*pci-dss"),
        ('cold = "P1Y"', 'hot = "P13M"', r"'rest' keeps in the archive.*\(P12M\).*hot of class 'rest' \(P13M\)"),
        ('cold = "P1Y"', 'maximum = "P6M"', r"maximum of class 'rest' \(P6M\).*'rest' keeps in the archive"),
        ('hot = "P6M"\ncold = "P2Y"', 'hot = "P13M"', r"pci-dss-4.0.1-10.5.1 \(P12M\).*hot of class 'cards' \(P13M\)"),
        ('name = "rest"', 'name = "cards"', "same name"),
        ("since = 2027-01-01, ", "", "order"),
        ('max_size = "20GiB"', 'max_size = "20GB"', "GiB"),
        ("release = 2", "release = 0", "release"),
        ("valid_from = 2025-01-01", "valid_from = 2025-01-01\nvalid_to = 2024-01-01", "ends before it begins"),
        ('id = "works-council-2025"', 'id = "pci-dss-4.0.1-10.5.1"', "two rows"),
        ("version = 1\n", "version = 2\n", "version|expected"),
        ("[people]", '[people]\nbob = "ALICE"', "the key of alice is that of bob"),
        ("ALICE", "nobody+00000000+AQ==", "the key of alice: not a verifier key"),
    ],
)
def test_what_contradicts_itself_is_refused_and_both_sides_are_named(
    tmp_path: Path, old: str, new: str, named: str
) -> None:
    assert old in WHOLE
    with pytest.raises(ConfigError, match=named):
        read_policy(write(tmp_path, WHOLE.replace(old, new, 1)))


@pytest.mark.parametrize("lacking", ["maximum", "purpose"])
def test_gdpr_needs_a_stated_maximum_and_purpose(lacking: str) -> None:
    rule: dict[str, Any] = {"name": "staff", "regimes": ["gdpr"], "maximum": "P2Y", "purpose": "security monitoring"}
    policy(rule)
    with pytest.raises(ConfigError, match=rf"gdpr-5-1-e.*no {lacking}"):
        policy({key: value for key, value in rule.items() if key != lacking})


def test_a_gdpr_maximum_below_another_minimum_is_refused() -> None:
    rule = {"name": "x", "regimes": ["gdpr", "hipaa"], "maximum": "P2Y", "purpose": "care"}
    with pytest.raises(ConfigError, match=r"maximum of class 'x' \(P2Y\).*hipaa-164.316-b-2-i \(P6Y\)"):
        policy(rule)


def test_every_shipped_row_says_where_it_comes_from() -> None:
    rows = shipped()
    assert len({row.id for row in rows}) == len(rows)
    for row in rows:
        assert row.clause, row.id
        assert row.source_url.startswith("https://"), row.id
        assert row.checked or row.note or row.minimum, row.id


def test_the_rescinded_memorandum_is_not_in_force_and_its_successor_is() -> None:
    today = dt.date(2026, 11, 27)
    current = {row.id for row in shipped() if row.regime == "omb-logging" and row.in_force(today, today)}
    assert current == {"omb-m-26-14"}
