"""Settings of the workers; composed into `skytrail.settings.Settings`."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field


class WorkerSettings(BaseModel, extra="forbid", frozen=True):
    """What the roles seal, detect, index and rotate have in common."""

    metrics_host: str = Field(default="127.0.0.1", description="Address of /metrics, /livez, /readyz and /version.")
    metrics_port: dict[str, int] = Field(
        default={}, description="Port of those endpoints per role; 0 or unset: a free port, named in the log."
    )
    envelopes_per_batch: int = Field(default=8, ge=1, le=128, description="Envelopes that a role works on at once.")
    batch_wait_s: float = Field(default=0.25, gt=0, le=30, description="Seconds a role waits to fill a batch.")
    watchdog_s: float = Field(
        default=120.0,
        ge=5,
        description="Seconds with lag, without commit and without a stated reason: the worker ends.",
    )
    session_timeout_s: float = Field(
        default=30.0,
        ge=6,
        le=60,
        description="Seconds without a heartbeat after which the brokers give a dead worker's partitions to others.",
    )
    stop_grace_s: float = Field(
        default=30.0, gt=0, description="Seconds a stopping worker may take to finish its batch."
    )
    max_future_h: int = Field(
        default=24, ge=0, description="Hours an event may lie ahead of the clock; else dead letter."
    )
    max_age_d: int = Field(
        default=3660, ge=1, description="Days an event may be old (the longest retention); else dead letter."
    )


class DetectionSettings(BaseModel, extra="forbid", frozen=True):
    """Which rules are evaluated."""

    rules: tuple[Path, ...] = Field(default=(), description="Directories of Sigma rules besides the shipped ones.")
    shipped_rules: bool = Field(default=True, description="Evaluate the rules that come with Skytrail.")
    reload_interval_s: float = Field(
        default=5.0,
        ge=0,
        description="Seconds between looks for changed rules, which are taken without a restart; 0: only on SIGHUP.",
    )
    reload_patience_s: float = Field(
        default=120.0,
        ge=0,
        le=3600,
        description="Seconds that correlations wait for a rule set that another worker has taken and this one not yet; "
        "longer than two looks, at most 3600.",
    )
    placeholders: dict[str, tuple[str, ...]] = Field(
        default={}, description="Values for Sigma's %placeholders% (modifier `expand`)."
    )
    index_filters: tuple[Path, ...] = Field(
        default=(),
        description="Directories of Sigma rules whose matches are not indexed (still sealed and evaluated); "
        "each is counted as filtered under its name.",
    )


class WatchSettings(BaseModel, extra="forbid", frozen=True):
    """When a source that falls silent, brings less, or waits too long becomes an alert."""

    sources: bool = Field(default=True, description="Watch the sources and the backlog of the roles.")
    look_interval_s: float = Field(default=30.0, ge=1, le=300, description="Seconds between looks.")
    minimum_silence_s: float = Field(default=900.0, ge=0, description="Seconds before any source is called silent.")
    unlearned_silence_s: float = Field(
        default=86_400.0, gt=0, description="Seconds of silence of a source that made fewer than 20 pauses so far."
    )
    expected_interval_s: dict[str, float] = Field(
        default={},
        description="Seconds in which something comes, per collector or sender of one (`hook` or `hook/shop`); "
        "without it the habit is learned.",
    )
    patience: float = Field(default=3.0, ge=1, description="Expected intervals that may pass.")
    baseline_minimum: int = Field(
        default=200, ge=1, description="Records an hour usually brings; below them a drop is not judged."
    )
    lag_minimum: int = Field(default=1000, ge=1, description="Messages that must wait before lag is an alert.")
    lag_window_s: float = Field(default=600.0, gt=0, description="Seconds over which lag must not shrink.")
