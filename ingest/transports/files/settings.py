"""Settings of the files transport."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field


class FilesSettings(BaseModel, extra="forbid", frozen=True):
    """Files, directory trees and globs."""

    paths: tuple[str, ...] = Field(default=(), description="Files, directories or globs; `-` is standard input.")
    follow: bool = Field(default=False, description="Watch for new files and new lines instead of ending.")
    checkpoint_file: Path | None = Field(
        default=None, description="Where progress is kept. Default: <state>/checkpoints/<name>.json."
    )
    poll_interval_s: float = Field(default=1.0, gt=0, description="Seconds between looks at the tree when following.")


SETTINGS = FilesSettings
