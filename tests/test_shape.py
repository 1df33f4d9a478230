"""Promises of the repository that a machine can check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
import yaml
from pydantic import BaseModel

from detectors.proving import OWN_RULES
from ingest.formats.registry import all_formats
from ingest.schema import errors
from skytrail.cli.main import build
from skytrail.settings import Settings
from skytrail.settings_tables import table_of
from streams.topics import all_topics

ROOT = Path(__file__).parents[1]
PACKAGES = ("ingest", "detectors", "storage", "streams", "skytrail")
MAX_LINES = 400
MAX_FUNCTION_LINES = 60
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
_ROOT_NAMES = """
    .ci .dockerignore .gitignore .importlinter Dockerfile LICENSE docker-compose.yml docker-compose.production.yml docs
    pyproject.toml tests ARCHITECTURE.md CHANGELOG.md CONTRIBUTING.md README.md SECURITY.md
"""
IN_THE_ROOT = {*_ROOT_NAMES.split(), *PACKAGES}
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
MOCKS = re.compile(r"^\s*(from unittest import mock|import unittest\.mock|from unittest\.mock import)", re.MULTILINE)
RULES = sorted(OWN_RULES.rglob("*.yml"))


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def docs() -> str:
    pages = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return "\n".join(page.read_text("utf-8") for page in pages)


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_a_module_fits_in_one_reading(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_a_name_says_what_is_inside(path: Path) -> None:
    assert path.stem not in {"utils", "util", "helpers", "helper", "common", "misc", "manager"}


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_a_function_is_one_idea(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    too_long = [f.name for f in functions if (f.end_lineno or 0) - f.lineno > MAX_FUNCTION_LINES]
    assert too_long == []


@pytest.mark.parametrize("path", sorted(ROOT.glob("*/**/__init__.py")), ids=named)
def test_a_package_does_nothing_when_imported(path: Path) -> None:
    if ".venv" not in path.parts:
        assert path.read_text("utf-8") == ""


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_every_rule_proves_a_hit_and_a_miss(path: Path) -> None:
    rule = next(yaml.safe_load_all(path.read_text("utf-8")))
    assert {test["fires"] for test in rule["tests"]} == {True, False}
    assert all(rule[key] for key in ("falsepositives", "runbook", "level"))
    assert any(tag.startswith("attack.t") for tag in rule["tags"])


def test_every_rule_has_its_own_name_and_id() -> None:
    rules = [next(yaml.safe_load_all(path.read_text("utf-8"))) for path in RULES]
    assert len(rules) >= 25
    assert len({rule["name"] for rule in rules}) == len(rules)
    assert len({rule["id"] for rule in rules}) == len(rules)


@pytest.mark.parametrize("name", all_formats())
def test_every_format_has_golden_pairs(name: str) -> None:
    golden = ROOT / "tests" / "ingest" / "formats" / name.replace(".", "_") / "golden"
    raw = {path.stem for path in golden.iterdir() if not path.name.endswith(".expected.json")}
    expected = {path.name.removesuffix(".expected.json") for path in golden.glob("*.expected.json")}
    assert len(raw) >= 10
    assert raw == expected


def setting_names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner, by_name = table_of(field)
        if inner is not None and not by_name:
            yield from setting_names(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
        assert field.description, f"{prefix}{name} has no description"


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    missing = [name for name in setting_names(Settings) if f"`{name}`" not in page]
    assert missing == []


def commands(group: object, prefix: str = "") -> Iterator[str]:
    for name, command in getattr(group, "commands", {}).items():
        if getattr(command, "commands", None):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}"


def test_every_command_is_documented_and_shows_examples() -> None:
    root = typer.main.get_command(build())
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    found = list(commands(root))
    assert len(found) >= 15
    assert [name for name in found if f"skytrail {name}" not in page] == []


def error_types(base: type[errors.SkytrailError]) -> Iterator[type[errors.SkytrailError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from error_types(kind)


def test_every_error_has_a_runbook_entry() -> None:
    page = (ROOT / "docs" / "runbook.md").read_text("utf-8")
    names = {kind.__name__ for kind in error_types(errors.SkytrailError) if kind.__module__ == errors.__name__}
    assert len(names) >= 15
    assert sorted(name for name in names if f"## {name}" not in page) == []


def test_every_topic_is_documented() -> None:
    page = docs()
    assert [t.name for t in all_topics(["aws.cloudtrail"]) if t.name not in page] == []


def test_topic_names_are_spelled_in_one_place() -> None:
    spelled = re.compile(r"[\"']skytrail\.[a-z.-]+\.v1[\"']")
    elsewhere = [
        named(path) for path in SOURCES if path.name != "topics.py" and spelled.search(path.read_text("utf-8"))
    ]
    assert elsewhere == []


def test_only_the_settings_read_the_environment() -> None:
    readers = [
        named(path)
        for path in SOURCES
        if re.search(r"os\.(environ|getenv)", path.read_text("utf-8")) and path != ROOT / "skytrail" / "settings.py"
    ]
    assert readers == []


def test_nothing_was_left_lying_in_the_root() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {path.partition("/")[0] for path in listed.splitlines()} == IN_THE_ROOT


def test_the_layers_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports"))], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
    broken = [
        f"{named(page)} → {target}"
        for page in pages
        for target in LINK.findall(page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]
    assert broken == []


TEST_FILES = sorted(path for path in (ROOT / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("path", TEST_FILES, ids=named)
def test_no_test_is_empty_and_none_mocks(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not MOCKS.search(text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            body = [part for part in node.body if not isinstance(part, ast.Expr | ast.Pass) or _does_something(part)]
            assert body, f"{node.name} does nothing"


def _does_something(part: ast.stmt) -> bool:
    return isinstance(part, ast.Expr) and not isinstance(part.value, ast.Constant)
