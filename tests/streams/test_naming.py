"""Index names: the rotation of a policy from its day on, before it and without it the settings."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from ingest.schema.errors import ConfigError
from storage.retention.policy import refuse_other_past
from storage.settings import ElasticsearchSettings, RetentionSettings
from streams.naming import namer, rotating
from tests.storage.retention.samples import policy

POLICY = """
version = 1
name = "acme"

[[class]]
name = "cloud"
datasets = ["aws.*"]
rotation = [{period = "week", since = 2026-06-01}, {period = "month", since = 2027-01-01}]
"""


@pytest.mark.parametrize(
    ("dataset", "at", "period"),
    [
        ("aws.cloudtrail", "2026-05-31T23:59:59+00:00", "2026.05.31"),
        ("aws.cloudtrail", "2026-06-01T00:00:00+00:00", "2026.w23"),
        ("aws.cloudtrail", "2026-06-01T01:00:00+02:00", "2026.05.31"),
        ("aws.cloudtrail", "2026-12-31T23:59:59+00:00", "2026.w53"),
        ("aws.cloudtrail", "2027-01-01T00:00:00+00:00", "2027.01"),
        ("gcp.audit", "2027-01-01T00:00:00+00:00", "2027.w53"),
    ],
)
def test_a_rotation_holds_from_its_day_on_in_utc(tmp_path: Path, dataset: str, at: str, period: str) -> None:
    path = tmp_path / "retention.toml"
    path.write_text(POLICY, "utf-8")
    settings = ElasticsearchSettings(period={"gcp.audit": "week"})
    name = namer(settings, rotating(RetentionSettings(policy_file=path)))
    expected = f"logs-{dataset}-acme-{period}".replace("2027.w53", "2026.w53")  # the ISO year of that week
    assert name(dataset, "acme", dt.datetime.fromisoformat(at)) == expected


def test_without_a_policy_the_settings_decide() -> None:
    name = namer(ElasticsearchSettings(), rotating(RetentionSettings()))
    at = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
    assert name("aws.cloudtrail", "acme", at) == "logs-aws.cloudtrail-acme-2026.06.01"


def test_the_rotation_of_days_that_have_begun_can_not_change() -> None:
    old = policy({"name": "cloud", "rotation": [{"period": "day"}]})
    later = policy({"name": "cloud", "rotation": [{"period": "day"}, {"period": "week", "since": dt.date(2027, 1, 1)}]})
    refuse_other_past(old, later, dt.date(2026, 12, 31))
    refuse_other_past(later, later, dt.date(2027, 6, 1))
    with pytest.raises(ConfigError, match="rotation of class 'cloud' would change"):
        refuse_other_past(old, later, dt.date(2027, 1, 1))
    with pytest.raises(ConfigError, match="would change"):
        refuse_other_past(old, policy({"name": "cloud"}), dt.date(2026, 1, 1))
