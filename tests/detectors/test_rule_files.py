"""Which files are rules."""

from __future__ import annotations

from pathlib import Path

from detectors.rule_files import rule_files
from ingest.formats.registry import all_formats


def files(*names: str, under: Path) -> None:
    for name in names:
        (under / name).parent.mkdir(parents=True, exist_ok=True)
        (under / name).write_text("")


def named(path: Path) -> list[str]:
    return [file.relative_to(path).as_posix() for file in rule_files(path)]


def test_rule_files_have_a_suffix_of_yaml_in_any_case(tmp_path: Path) -> None:
    files("b.yml", "a/c.YAML", "X.YML", "notes.md", "yml", under=tmp_path)
    assert named(tmp_path) == ["X.YML", "a/c.YAML", "b.yml"]


def test_a_file_that_is_named_is_taken_whatever_its_name(tmp_path: Path) -> None:
    files(".rule", under=tmp_path)
    assert list(rule_files(tmp_path / ".rule")) == [tmp_path / ".rule"]


def test_names_that_begin_with_a_dot_are_left_out_below_the_path_only(tmp_path: Path) -> None:
    files(".rules/a.yml", ".rules/.git/b.yml", ".rules/.c.yml", under=tmp_path)
    assert named(tmp_path / ".rules") == ["a.yml"]


def test_links_are_followed_and_each_directory_is_walked_once(tmp_path: Path) -> None:
    files("elsewhere/a.yml", "rules/deep/b.yml", under=tmp_path)
    (tmp_path / "rules/deep/loop").symlink_to(tmp_path / "rules")
    (tmp_path / "rules/one").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "rules/two").symlink_to(tmp_path / "elsewhere")
    assert named(tmp_path / "rules") == ["deep/b.yml", "one/a.yml"]


def test_a_link_that_leads_nowhere_is_there_for_who_reads_it(tmp_path: Path) -> None:
    (tmp_path / "gone.yml").symlink_to("nothing.yml")
    (tmp_path / "gone.md").symlink_to("nothing.md")
    (tmp_path / "loop.yml").symlink_to("loop.yml")
    assert named(tmp_path) == ["gone.yml", "loop.yml"]


def test_the_page_of_rules_names_the_log_source_of_every_format() -> None:
    page = (Path(__file__).parents[2] / "docs" / "rules.md").read_text("utf-8")
    for one in all_formats().values():
        product, service = one.log_source.product, one.log_source.service
        rows = [row for row in page.splitlines() if row.endswith(f"| `{one.name}` |")]
        assert any(f"`product: {product}`, `service: {service}`" in row for row in rows), one.name
