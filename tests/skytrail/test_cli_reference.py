"""The page of commands is the one that the commands make."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from skytrail.cli.exits import Exit
from skytrail.cli.main import build
from skytrail.cli.reference import page

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def commands(group: Any, path: str = "skytrail") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if getattr(command, "commands", None):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


COMMANDS = dict(commands(typer.main.get_command(build())))


made_page = functools.cache(page)  # takes seconds, and nothing changes it between two tests


def section(path: str) -> str:
    """What the page says about one command."""
    return made_page().partition(f"\n## {path}\n")[2].partition("\n## ")[0]


def test_the_committed_page_is_the_generated_one() -> None:
    assert PAGE.read_text("utf-8") == made_page(), "python -m skytrail.cli.reference > docs/cli.md"


@pytest.mark.parametrize("path", COMMANDS)
def test_each_command_has_synopsis_options_and_examples(path: str) -> None:
    text = section(path)
    assert f"```\n{path}" in text
    assert "Examples:" in text.replace("Example:", "Examples:")
    for parameter in COMMANDS[path].params:
        if parameter.param_type_name == "option" and parameter.name != "help":
            assert parameter.opts[0] in text, f"{path} does not show {parameter.opts[0]}"


@pytest.mark.parametrize("path", COMMANDS)
def test_each_line_of_the_examples_calls_the_product(path: str) -> None:
    block = section(path).partition("Examples:\n\n```\n")[2].partition("\n```")[0]
    assert block
    for line in block.replace("\\\n", "").splitlines():  # a shell joins such lines, too
        assert "skytrail" in line or "docker" in line, line


def test_every_exit_code_is_explained() -> None:
    assert [code for code in Exit if f"| `{code.value}` |" not in made_page()] == []
