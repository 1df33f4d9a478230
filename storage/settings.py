"""Settings of Elasticsearch, the archive and its ledger; composed into `skytrail.settings.Settings`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, SecretStr, model_validator

from storage.azure_settings import AzureArchiveSettings
from storage.datakeys.settings import EncryptionSettings
from storage.gcs_settings import GcsArchiveSettings

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
    analyst: Login = Field(default=Login(), description="May change the triage state of alerts.")
    retention: Login = Field(
        default=Login(), description="May drop indices; used by `retention apply` and the role rotate alone."
    )
    eraser: Login = Field(default=Login(), description="May delete documents; used by `erase apply` alone.")
    auditor: Login = Field(
        default=Login(), description="May read users, roles and API keys; used by `report make access-review` alone."
    )
    request_timeout_s: float = Field(default=30.0, gt=0, description="Seconds per request.")
    bulk_max_bytes: int = Field(default=8 * 1024 * 1024, ge=1024 * 1024, description="Bytes per bulk request.")
    bulk_in_flight: int = Field(default=2, ge=1, le=16, description="Bulk requests at once per worker.")
    shards: int = Field(default=1, ge=1, description="Primary shards of a new index.")
    replicas: int = Field(default=0, ge=0, description="Replicas of a new index; 1 or more in production.")
    refresh_interval_s: int = Field(default=10, ge=1, description="Seconds until a document can be searched.")
    period: dict[str, Period] = Field(
        default={}, description="Index period per data set; day where not named, month for alerts."
    )


class S3ArchiveSettings(BaseModel, extra="forbid", frozen=True):
    """A bucket of S3 of what is written once; credentials, region, endpoint are found as the AWS tools find them."""

    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", description="Name of the bucket.")
    prefix: str = Field(default="", pattern=r"^[A-Za-z0-9._/-]{0,100}$", description="Keys start with this.")
    lock: Literal["compliance", "governance", "none"] = Field(
        default="compliance", description="Object Lock of what is sealed; `none` only where the bucket can't lock."
    )
    lock_days: int = Field(
        default=400, ge=1, description="Days for which an object is locked at least; longer where its stamp says so."
    )
    request_timeout_s: float = Field(default=30.0, gt=0, description="Seconds to connect, and between bytes.")

    @property
    def address(self) -> str:
        """As commands take it."""
        return f"s3://{self.bucket}/{self.prefix.strip('/')}".rstrip("/")

    @property
    def opening_address(self) -> str:
        """The same: what opens it is found as the AWS tools find it."""
        return self.address


CloudArchive = S3ArchiveSettings | AzureArchiveSettings | GcsArchiveSettings


class ArchiveSettings(BaseModel, extra="forbid", frozen=True):
    """The sealed archive."""

    directory: Path | None = Field(default=None, description="Root of the filesystem store. Default: <state>/archive.")
    s3: S3ArchiveSettings | None = Field(default=None, description="A bucket instead of the directory.")
    azure: AzureArchiveSettings | None = Field(default=None, description="A container of Azure instead.")
    gcs: GcsArchiveSettings | None = Field(default=None, description="A bucket of Google Cloud instead.")
    encryption: EncryptionSettings = Field(default=EncryptionSettings(), description="Encryption of what is sealed.")
    segment_max_records: int = Field(default=10_000, ge=1, description="Records that close a segment.")
    segment_max_bytes: int = Field(default=16 * 1024 * 1024, gt=0, description="Bytes that close a segment.")
    segment_max_age_s: float = Field(default=5.0, gt=0, description="Seconds after which a segment is closed.")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if len([each for each in (self.directory, self.s3, self.azure, self.gcs) if each is not None]) > 1:
            raise ValueError("an archive lies in one place: set one of directory, s3, azure and gcs")
        return self

    @property
    def cloud(self) -> CloudArchive | None:
        """Where it lies, if not in the directory."""
        return self.s3 or self.azure or self.gcs


class WitnessedBySettings(BaseModel, extra="forbid", frozen=True):
    """A witness that cosigns our checkpoints."""

    url: str = Field(pattern="^https?://", description="Submission prefix: `<url>/add-checkpoint` is called.")
    vkey: str = Field(description="Its verifier key, of type 0x04 or 0x01.")


class AuthoritySettings(BaseModel, extra="forbid", frozen=True):
    """A time stamping authority (RFC 3161)."""

    url: str = Field(pattern="^https?://", description="Where time stamp queries are posted.")
    ca_file: Path = Field(
        description="PEM file of its root certificate, and of those between if it does not send them."
    )


class LedgerSettings(BaseModel, extra="forbid", frozen=True):
    """The ledger of the archive."""

    organisation: str = Field(
        default="logs.skytrail.example",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$",
        description="First part of the name of every log: a domain of yours. Later changes need a new epoch.",
    )
    epoch: int = Field(default=1, ge=1, description="Last part of the name; raised when keys were lost or leaked.")
    keys_file: Path | None = Field(
        default=None, description="The keys file; private keys lie beside it. Default: <state>/ledger/keys.json."
    )
    key_days: int = Field(default=396, ge=1, description="Days for which keys that are made at the first start sign.")
    heartbeat_interval_s: int = Field(
        default=60, ge=5, description="Seconds after which a chain without a new segment is told to be idle."
    )
    witnesses: dict[str, WitnessedBySettings] = Field(default={}, description="Witnesses by a name of your choice.")
    quorum: int = Field(default=0, ge=0, description="Cosignatures that a checkpoint needs to count as witnessed.")
    witness_interval_s: float = Field(default=2.0, gt=0, description="Seconds between looks for a new checkpoint.")
    request_timeout_s: float = Field(default=10.0, gt=0, description="Seconds per request to a witness or authority.")
    authorities: dict[str, AuthoritySettings] = Field(
        default={}, description="Time stamping authorities by a name of your choice."
    )
    stamp_interval_s: int = Field(default=60, ge=1, description="Seconds between two time stamps of a log.")


class RetentionSettings(BaseModel, extra="forbid", frozen=True):
    """How long logs are kept."""

    policy_file: Path | None = Field(
        default=None, description="The policy, a TOML file (docs/retention.md). Without one nothing is ever removed."
    )
    policy_refresh_s: float = Field(
        default=60.0,
        gt=0,
        description="Seconds after which the roles seal and index look whether a policy was adopted, for their stamps.",
    )
    rotate_interval_s: float = Field(default=3600.0, gt=0, description="Seconds between two rounds of the role rotate.")
    disk_interval_s: float = Field(
        default=60.0,
        gt=0,
        description="Seconds between two looks of the role rotate at the disks of Elasticsearch; a failed round is "
        "tried again then.",
    )
    disk_warning_percent: float = Field(
        default=75.0,
        gt=0,
        le=100,
        description="From this part of a disk of Elasticsearch on the role rotate warns, and rotates at once.",
    )


class WitnessSettings(BaseModel, extra="forbid", frozen=True):
    """A witness that we run: `skytrail witness serve`."""

    name: str = Field(default="", description="Name of its key, such as witness.example.org/w1.")
    key_file: Path | None = Field(
        default=None, description="Its private key, made by `skytrail witness init`. Default: <state>/witness/key.pem."
    )
    directory: Path | None = Field(
        default=None, description="The newest checkpoint of each log. Default: <state>/witness/logs."
    )
    logs: tuple[str, ...] = Field(
        default=(), description="Ed25519 verifier keys of the logs that it cosigns; several of a log while keys change."
    )
    host: str = Field(default="127.0.0.1", description="Address it listens on; put a TLS proxy before it.")
    port: int = Field(default=9471, ge=0, le=65535, description="Port it listens on; 0: any free one.")
