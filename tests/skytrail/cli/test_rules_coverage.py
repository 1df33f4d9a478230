"""`skytrail rules coverage`: the layer goes where it can be written, or it is said why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ingest.schema.errors import ConfigError
from skytrail.cli.main import build


def test_a_layer_that_cannot_be_written_is_told_with_its_place(tmp_path: Path) -> None:
    arguments = ["rules", "coverage", "--product", "oci", "--navigator", str(tmp_path / "none" / "layer.json")]
    with pytest.raises(ConfigError, match="writing the layer") as told:
        CliRunner().invoke(build("rules"), arguments, catch_exceptions=False)
    assert str(tmp_path) in str(told.value.where)


def test_a_layer_is_written_beside_the_rows(tmp_path: Path) -> None:
    arguments = ["rules", "coverage", "--product", "aws", "--navigator", str(tmp_path / "layer.json")]
    assert CliRunner().invoke(build("rules"), arguments, catch_exceptions=False).exit_code == 0
    assert json.loads((tmp_path / "layer.json").read_text())["techniques"]
