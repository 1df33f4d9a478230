"""Settings of Elasticsearch and the archive; composed into `skytrail.settings.Settings`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr

Period = Literal["day", "week", "month"]


class Login(BaseModel, extra="forbid", frozen=True):
    """One Elasticsearch identity."""

    username: str = Field(default="", description="User name.")
    password: SecretStr = Field(default=SecretStr(""), description="Password; give it by file or environment.")
    api_key: SecretStr = Field(default=SecretStr(""), description="Encoded API key instead of user and password.")


class ElasticsearchSettings(BaseModel, extra="forbid", frozen=True):
    """How to reach Elasticsearch: one identity per duty. Left empty, the engines of `skytrail up` are used."""

    url: str = Field(default="", description="https://host:port. Empty: the local engines (`skytrail up`).")
    ca_file: Path | None = Field(default=None, description="PEM file of the authority that signed the server.")
    allow_plain_http: bool = Field(
        default=False, description="Allow http:// beyond loopback, e.g. inside one Compose network."
    )
    bootstrap: Login = Field(default=Login(), description="May install templates.")
    indexer: Login = Field(default=Login(), description="May create documents and indices, nothing else.")
    alerter: Login = Field(default=Login(), description="May create alerts and write their triage state.")
    reader: Login = Field(default=Login(), description="May search.")
    request_timeout_s: float = Field(default=30.0, gt=0, description="Seconds per request.")
    bulk_max_bytes: int = Field(default=8 * 1024 * 1024, ge=1024 * 1024, description="Bytes per bulk request.")
    bulk_in_flight: int = Field(default=2, ge=1, le=16, description="Bulk requests at once per worker.")
    shards: int = Field(default=1, ge=1, description="Primary shards of a new index.")
    replicas: int = Field(default=0, ge=0, description="Replicas of a new index; 1 or more in production.")
    refresh_interval_s: int = Field(default=10, ge=1, description="Seconds until a document can be searched.")
    period: dict[str, Period] = Field(
        default={}, description="Index period per data set; day where not named, month for alerts."
    )


class ArchiveSettings(BaseModel, extra="forbid", frozen=True):
    """The sealed archive."""

    directory: Path | None = Field(default=None, description="Root of the filesystem store. Default: <state>/archive.")
    segment_max_records: int = Field(default=10_000, ge=1, description="Records that close a segment.")
    segment_max_bytes: int = Field(default=16 * 1024 * 1024, gt=0, description="Bytes that close a segment.")
    segment_max_age_s: float = Field(default=5.0, gt=0, description="Seconds after which a segment is closed.")
