"""The data keys of this installation, for its own readers and for the verifier, which knows none of their code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ingest.schema.errors import SkytrailError
from skytrail.settings import Settings
from storage.datakeys.keys import DataKeys
from storage.datakeys.opening import open_data_keys, subject_table


def data_keys(settings: Settings) -> DataKeys | None:
    """The data keys of the settings; None where nothing is encrypted and nothing ever was.

    Raises:
        ConfigError: They lie in an unsafe place, or their settings are incomplete.
    """
    return open_data_keys(settings.archive, settings.archive_dir, settings.state_dir)


@dataclass(frozen=True, slots=True)
class OpenedKeys:
    """A `KeySource` of the verifier."""

    keys: DataKeys
    subjects: Path | None = None

    def key(self, namespace: str, key_id: str) -> bytes | None:
        """See `KeySource.key`."""
        try:
            opened = self.keys.opened(namespace, key_id)
        except SkytrailError as exc:
            raise OSError(None, f"{exc.what} ({exc.mend})", exc.where) from exc
        return opened.body if opened is not None else None


def key_source(settings: Settings) -> OpenedKeys | None:
    """The data keys as the verifier takes them. Raises as `data_keys`."""
    keys = data_keys(settings)
    return OpenedKeys(keys, subject_table(settings.archive, settings.state_dir)) if keys is not None else None
