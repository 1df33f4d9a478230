"""What every command starts from: the settings, read once, and the connections they name."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import typer

from skytrail import settings as settings_module
from skytrail.connections import connected
from skytrail.local.engines import load
from skytrail.settings import Settings


class Context:
    """Carried in Typer's context; reads the settings at first use, so that `--help` needs none.

    Attributes:
        told: What a command says of its outcome for the record of the action: counts, never content.
    """

    def __init__(self, config: Path | None) -> None:
        """Remember which settings file was asked for."""
        self._config = config
        self.told: dict[str, Any] = {}

    @functools.cached_property
    def settings(self) -> Settings:
        """The settings as configured.

        Raises:
            ConfigError: They are wrong.
        """
        return settings_module.load(self._config)

    def origins(self) -> dict[str, str]:
        """Where each value of the settings came from, by dotted name; what has its default is not in it."""
        return settings_module.origins(self._config)

    @property
    def is_installed(self) -> bool:
        """Whether there is a Kafka: an auditor's own machine, or one that only reads files, has none."""
        return bool(self.settings.kafka.bootstrap_servers) or load(self.settings.engines_home) is not None

    def connected(self, *, kafka: bool = True, elasticsearch: bool = True) -> Settings:
        """The settings with addresses and identities filled in.

        Raises:
            ConfigError: Nothing to connect to, or unsafe.
        """
        return connected(self.settings, kafka=kafka, elasticsearch=elasticsearch)


def context_of(context: typer.Context) -> Context:
    """The `Context` of a running command."""
    found = context.find_object(Context)
    assert found is not None
    return found
