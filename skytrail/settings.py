"""The one configuration type. Read once at the command line, then passed down; nothing else reads the environment.

Precedence: environment `SKYTRAIL_…` (nested with `__`), secret files in /run/secrets (same names, lower case), the
first of ./skytrail.toml, $XDG_CONFIG_HOME/skytrail/config.toml, /etc/skytrail/config.toml, then the defaults below.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ingest.pseudonyms.settings import PseudonymSettings
from ingest.schema.errors import ConfigError
from ingest.settings import AuditSettings, CollectorSettings, KafkaSettings, collector_name
from ingest.transports.registry import as_collector
from skytrail.local.engines import default_cache
from skytrail.reports.settings import ReportSettings
from storage.settings import ArchiveSettings, ElasticsearchSettings, LedgerSettings, RetentionSettings, WitnessSettings
from streams.settings import DetectionSettings, WatchSettings, WorkerSettings

SECRETS_DIR = Path("/run/secrets")
PREFIX = "SKYTRAIL_"
_ELSEWHERE = ("SKYTRAIL_CONFIG", "SKYTRAIL_TEST_")
"""Names that are not settings: the path of the file, and switches of the test suite."""


def _state_dir() -> Path:
    """Where state lies when nothing else is set: system-wide for root, the user's state directory otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/skytrail/state")
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "skytrail"


class Settings(BaseSettings):
    """Everything that can be configured."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        secrets_dir=SECRETS_DIR if SECRETS_DIR.is_dir() else None,
    )

    state_dir: Path = Field(
        default_factory=_state_dir,
        description="Local engines, checkpoints, spools and the archive, unless set elsewhere.",
    )
    kafka: KafkaSettings = Field(default=KafkaSettings(), description="How to reach Kafka.")
    elasticsearch: ElasticsearchSettings = Field(
        default=ElasticsearchSettings(), description="How to reach Elasticsearch."
    )
    archive: ArchiveSettings = Field(default=ArchiveSettings(), description="The sealed archive.")
    ledger: LedgerSettings = Field(default=LedgerSettings(), description="The ledger of the archive.")
    retention: RetentionSettings = Field(default=RetentionSettings(), description="How long logs are kept.")
    pseudonyms: PseudonymSettings = Field(
        default=PseudonymSettings(), description="Tokens in the place of people, in what is indexed and told."
    )
    witness: WitnessSettings = Field(default=WitnessSettings(), description="A witness that we run.")
    worker: WorkerSettings = Field(default=WorkerSettings(), description="The roles seal, detect, index and rotate.")
    detection: DetectionSettings = Field(default=DetectionSettings(), description="Which rules are evaluated.")
    watch: WatchSettings = Field(default=WatchSettings(), description="The watch over sources.")
    reports: ReportSettings = Field(default=ReportSettings(), description="Reports for auditors.")
    audit: AuditSettings = Field(default=AuditSettings(), description="Records of what Skytrail itself does.")
    collectors: dict[
        Annotated[str, AfterValidator(collector_name)], Annotated[CollectorSettings, BeforeValidator(as_collector)]
    ] = Field(default={}, description="Collectors by name, started with `skytrail collect NAME`.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic passes it
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - .env is for Compose, not read by us
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment, then secret files, then the file (handed in as init values)."""
        secrets = NestedSecretsSettingsSource(
            file_secret_settings, secrets_prefix=PREFIX, secrets_nested_delimiter="__", secrets_dir_missing="ok"
        )
        return env_settings, secrets, init_settings

    def collector(self, name: str) -> CollectorSettings:
        """A collector by its name.

        Raises:
            ConfigError: There is none of this name.
        """
        if name in self.collectors:
            return self.collectors[name]
        raise ConfigError(
            f"looking for collector {name!r}: the settings have {', '.join(self.collectors) or 'none'}",
            where="[collectors]",
            mend=f"add [collectors.{name}] with transport and format to skytrail.toml",
        )

    @property
    def archive_dir(self) -> Path:
        """Root of the archive."""
        return self.archive.directory or self.state_dir / "archive"

    @property
    def archive_place(self) -> str:
        """The archive as `skytrail verify --archive` takes it."""
        cloud = self.archive.cloud
        return cloud.opening_address if cloud else str(self.archive_dir)

    @property
    def keys_file(self) -> Path:
        """The keys of the ledger."""
        return self.ledger.keys_file or self.state_dir / "ledger" / "keys.json"

    @property
    def witness_key_file(self) -> Path:
        """The private key of the witness that we run."""
        return self.witness.key_file or self.state_dir / "witness" / "key.pem"

    @property
    def witness_dir(self) -> Path:
        """What that witness cosigned."""
        return self.witness.directory or self.state_dir / "witness" / "logs"

    @property
    def engines_home(self) -> Path:
        """Home of the local engines."""
        return self.state_dir / "engines"


def load(config: Path | None = None) -> Settings:
    """Read the configuration.

    Raises:
        ConfigError: Unknown or wrong settings, an unreadable file, an unknown `SKYTRAIL_*` variable.
    """
    _refuse_unknown_variables(os.environ)
    path = config or _config_file(os.environ)
    values = _read_toml(path) if path else {}
    try:
        return Settings(**values)
    except ValidationError as exc:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg']}" + (f" (got {_shown(e)})" if e["type"] != "missing" else "")
            for e in exc.errors()
        )
        raise ConfigError(f"reading settings: {problems}", where=str(path or "environment")) from exc


def origins(config: Path | None = None) -> dict[str, str]:
    """Where each set value comes from: dotted name → the environment, secret files, or the settings file.

    Raises:
        ConfigError: The settings file can't be read.
    """
    path = config or _config_file(os.environ)
    environment = EnvSettingsSource(Settings)
    secrets = NestedSecretsSettingsSource(
        environment, secrets_prefix=PREFIX, secrets_nested_delimiter="__", secrets_dir_missing="ok"
    )
    found: dict[str, str] = {}
    for values, origin in (
        (_read_toml(path) if path else {}, str(path)),
        (secrets(), str(SECRETS_DIR)),
        (environment(), "environment"),
    ):
        found |= dict.fromkeys(_dotted(values), origin)
    return found


def _dotted(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Names of what stands in nested tables."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def _shown(error: Mapping[str, Any]) -> str:
    """The refused value, unless it may be a secret."""
    secret = any(word in str(error["loc"]).lower() for word in ("password", "key", "token", "secret"))
    return "a secret" if secret else repr(error.get("input"))[:80]


def _config_file(environ: Mapping[str, str]) -> Path | None:
    if named := environ.get("SKYTRAIL_CONFIG"):
        if not Path(named).is_file():
            raise ConfigError("reading settings: no such file", where=named, mend="correct SKYTRAIL_CONFIG or --config")
        return Path(named)
    home = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    for path in (Path("skytrail.toml"), home / "skytrail" / "config.toml", Path("/etc/skytrail/config.toml")):
        if path.is_file():
            return path
    return None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(f"reading settings: {exc}", where=str(path), mend="mend the TOML file") from exc


def _refuse_unknown_variables(environ: Mapping[str, str]) -> None:
    """A misspelt variable must not be ignored: pydantic-settings does not see an unknown top-level name."""
    for name in environ:
        if not name.upper().startswith(PREFIX) or name.startswith(_ELSEWHERE):
            continue
        top = re.split("__", name[len(PREFIX) :].lower())[0]
        if top not in Settings.model_fields:
            known = ", ".join(f"{PREFIX}{field.upper()}" for field in Settings.model_fields)
            raise ConfigError(
                f"reading settings: the environment names an unknown setting {name}", mend=f"use one of {known}"
            )


@contextmanager
def environment_with(values: Mapping[str, str]) -> Iterator[None]:
    """These variables for a while, for libraries that read the environment themselves."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def environment_without_settings() -> dict[str, str]:
    """This process's environment without any setting of ours: for children that get a settings file of their own."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}


def engine_cache() -> Path:
    """Where released engine files are kept for all homes of this machine."""
    return default_cache(os.environ)
