"""What no server of the tests shows: skipped by name, so that a report tells of it and nothing passes for proven."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

_PAGE = Path(__file__).parents[3] / "docs" / "sources.md"


def _listed() -> Mapping[str, str]:
    """The names that docs/sources.md has, with what was not seen."""
    section = _PAGE.read_text("utf-8").partition("**What no server proves.**")[2].partition("\n**")[0]
    return dict(re.findall(r"^\| `([a-z-]+)` \| ([^|]+) \|$", section, re.MULTILINE))


UNPROVEN = _listed()


@pytest.mark.parametrize("name", sorted(UNPROVEN))
def test_unproven(name: str) -> None:
    pytest.skip(f"no server shows {name}: {UNPROVEN[name]}")


def test_the_page_lists_what_is_unproven_of_every_cloud() -> None:
    clouds = {name.partition("-")[0] for name in UNPROVEN}
    assert {"aws", "azure", "google", "oracle", "kubernetes"} <= clouds
