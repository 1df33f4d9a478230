"""Opens what a command is to verify or to read."""

from __future__ import annotations

from ingest.schema.errors import ConfigError
from storage.verify.places import Place, place_at


def opened(url: str) -> Place:
    """The place that a path or URL names.

    Raises:
        ConfigError: No such kind of place.
    """
    try:
        return place_at(url)
    except ValueError as exc:
        raise ConfigError(
            f"opening what is to be verified: {exc}",
            mend="give a directory, s3://bucket/prefix, azure://account/container/prefix or gs://bucket/prefix",
        ) from exc
