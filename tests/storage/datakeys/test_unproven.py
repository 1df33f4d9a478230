"""What no server of the tests shows of key management services: skipped by name, so that nothing passes for proven."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from storage.datakeys.registry import all_providers

_PAGE = Path(__file__).parents[3] / "docs" / "integrity.md"


def _listed() -> Mapping[str, str]:
    """The names that docs/integrity.md has, with what was not seen."""
    section = _PAGE.read_text("utf-8").partition("**What no server proves.**")[2].partition("\nA manifest of")[0]
    return dict(re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", section, re.MULTILINE))


UNPROVEN = _listed()


@pytest.mark.parametrize("name", sorted(UNPROVEN))
def test_unproven(name: str) -> None:
    pytest.skip(f"no server shows {name}: {UNPROVEN[name]}")


def test_the_page_lists_what_is_unproven_of_every_service() -> None:
    services = {f"{name.replace('_', '-')}-service" for name in all_providers() if name != "file"}
    assert services <= set(UNPROVEN)
