"""`skytrail witness`: a process of its own that cosigns over HTTP, and tells what it needs."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from ingest.schema.errors import ConfigError
from skytrail.cli.main import build
from skytrail.settings import environment_without_settings
from storage.ledger.note import parse_line
from storage.ledger.signing import parse_vkey
from tests.storage.ledger.test_witness import LOG_KEY, head, request


def config(root: Path, **witness: Any) -> Path:
    path = root / "skytrail.toml"
    own = {"name": "witness.example/w1", "logs": [str(LOG_KEY.key)], **witness}
    path.write_bytes(msgspec.toml.encode({"state_dir": str(root), "witness": own}))
    return path


def run(file: Path, *arguments: str) -> Any:
    return CliRunner().invoke(build("witness"), ["--config", str(file), "witness", *arguments], catch_exceptions=False)


@contextmanager
def serving(file: Path) -> Iterator[str]:
    """A witness as its own process; its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "skytrail", "--config", str(file), "witness", "serve", "--port", "0"],
        env=environment_without_settings(),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r"on (http://\S+)", line):
                break
        else:
            raise AssertionError("it did not start")
        yield found[1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def post(url: str, body: bytes) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body, method="POST"), timeout=20) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_witness_cosigns_over_http_and_remembers_after_a_restart(tmp_path: Path) -> None:
    file = config(tmp_path)
    made = json.loads(run(file, "init", "-o", "json").stdout)
    key = parse_vkey(made["vkey"])
    assert Path(made["key_file"]).stat().st_mode & 0o777 == 0o600
    with serving(file) as url:
        status, line = post(url, request(0, 5))
        assert status == 200
        assert key.verifies(head(5).text, parse_line(line.removesuffix("\n")))
        assert post(url, request(0, 9)) == (409, "5\n")
        assert post(url, b"x" * 70_000)[0] == 413
        assert post(url.replace("add-checkpoint", "other"), b"")[0] == 404
    with serving(file) as url:
        assert post(url, request(0, 9)) == (409, "5\n")
        assert post(url, request(5, 9))[0] == 200


def test_init_again_keeps_the_key(tmp_path: Path) -> None:
    file = config(tmp_path)
    assert run(file, "init", "-o", "json").stdout == run(file, "init", "-o", "json").stdout


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": ""}, "no name of a key"),
        ({"name": "white space"}, "no name of a key"),
        ({"logs": []}, "knows no log"),
        ({"logs": ["nonsense"]}, "reading witness.logs"),
    ],
)
def test_what_is_missing_is_told_before_anything_listens(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    run(config(tmp_path), "init")
    with pytest.raises(ConfigError, match=told):
        run(config(tmp_path, **changes), "serve")


def test_without_a_key_the_way_to_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="it has no key") as caught:
        run(config(tmp_path), "serve")
    assert caught.value.mend == "skytrail witness init"
