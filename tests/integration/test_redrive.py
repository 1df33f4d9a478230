"""Dead letters on the real engines: refused, looked at, the cause mended, redriven, indexed."""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from ingest.schema.errors import SkytrailError
from skytrail.cli.exits import exit_of
from skytrail.cli.main import build, first_word
from skytrail.local.engines import EngineState

pytestmark = pytest.mark.engines

PATIENCE_S = 90.0
RUNNER = CliRunner()


class Product:
    """The command line with a state directory of its own on the given engines, and a namespace of its own."""

    def __init__(self, engines: EngineState, directory: Path) -> None:
        self.directory = directory
        self.namespace = f"redrive{uuid.uuid4().hex[:8]}"
        state = directory / "state"
        state.mkdir()
        (state / "engines").symlink_to(engines.home)
        self.environment = {"SKYTRAIL_STATE_DIR": str(state)}

    def run(self, *arguments: str, code: int = 0) -> bytes:
        """Run a command in this process; workers alone get one of their own."""
        with contextlib.chdir(self.directory):
            done = RUNNER.invoke(build(first_word(arguments)), arguments, env=self.environment)
        structlog.reset_defaults()  # the command logged to a stream that is closed now
        got = exit_of(done.exception) if isinstance(done.exception, SkytrailError) else done.exit_code
        assert got == code, f"{done.stderr}\n{done.exception!r}"
        return done.stdout_bytes

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "-o", "json", code=code))

    def letters(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.json("dead-letters", "list", "-n", self.namespace)
        return found

    @contextlib.contextmanager
    def worker(self, role: str, **settings: str) -> Iterator[None]:
        log = (self.directory / f"{role}-{uuid.uuid4().hex}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "skytrail", "worker", role],
            env={**os.environ, **self.environment, **settings},
            cwd=self.directory,
            stderr=log,
        )
        try:
            yield
            assert process.poll() is None, Path(log.name).read_text()[-3000:]
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            log.close()


@pytest.fixture
def product(engines: EngineState, tmp_path: Path) -> Product:
    made = Product(engines, tmp_path)
    made.run("up", "-o", "json")
    return made


def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds; it is asked at most for `PATIENCE_S`."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.5)


def event(number: int, when: dt.datetime) -> dict[str, Any]:
    return {
        "eventVersion": "1.11",
        "eventID": str(uuid.uuid4()),
        "eventTime": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": "sts.amazonaws.com",
        "eventName": "GetCallerIdentity",
        "awsRegion": "eu-central-1",
        "sourceIPAddress": f"203.0.113.{number}",
        "userIdentity": {"type": "IAMUser", "userName": "alice", "accountId": "123456789012"},
        "recipientAccountId": "123456789012",
    }


def test_records_refused_for_their_age_are_indexed_after_the_limit_was_raised(product: Product) -> None:
    month_ago = dt.datetime.now(dt.UTC) - dt.timedelta(days=30)
    body = json.dumps({"Records": [event(number, month_ago) for number in range(3)]})
    (product.directory / "trail.json").write_text(body)
    with product.worker("index", SKYTRAIL_WORKER__MAX_AGE_D="1"):
        product.run("ingest", "files", "trail.json", "--format", "aws.cloudtrail", "-n", product.namespace)
        until(lambda: len(product.letters()) == 3)
    letters = product.letters()
    assert {(row["stage"], row["reason"], row["redriven_at"]) for row in letters} == {
        ("index", "MalformedRecord", None)
    }
    shown = product.json("dead-letters", "show", letters[0]["id"])
    assert shown["encoding"] == "utf-8"
    assert shown["body"] in body
    assert product.run("dead-letters", "show", letters[0]["id"], "--raw") == shown["body"].encode()

    (planned,) = product.json("dead-letters", "redrive", "--all", "-n", product.namespace)
    assert (planned["outcome"], planned["letters"]) == ("would be redriven", 3)
    assert all(row["redriven_at"] is None for row in product.letters())
    (done,) = product.json("dead-letters", "redrive", "--all", "-n", product.namespace, "--yes")
    assert (done["outcome"], done["letters"], done["records"]) == ("redriven", 3, 3)
    assert all(row["redriven_at"] for row in product.letters())
    (again,) = product.json("dead-letters", "redrive", "--all", "-n", product.namespace, "--yes")
    assert (again["outcome"], again["records"]) == ("redriven before", 0)

    with product.worker("index"):
        until(lambda: product.json("search", "*", "-n", product.namespace, "--count") == {"count": 3})
        until(lambda: [s["received"] for s in product.json("status", "-n", product.namespace)["sources"]] == [6])
    (source,) = product.json("status", "-n", product.namespace)["sources"]
    assert (source["indexed"], source["dead_lettered"], source["duplicate"]) == (3, 3, 0)
    assert source["residue"]["index"] == 0


def test_a_body_refused_as_a_bomb_is_split_after_its_limit_was_raised(product: Product) -> None:
    bomb = gzip.compress(json.dumps({"Records": [event(n, dt.datetime.now(dt.UTC)) for n in range(20)]}).encode())
    (product.directory / "trail.json.gz").write_bytes(bomb)

    def limited_to(size: int) -> None:
        (product.directory / "skytrail.toml").write_text(
            f'[collectors.trail]\ntransport = "files"\nformat = "aws.cloudtrail"\nnamespace = "{product.namespace}"\n'
            f'max_inflated_bytes = {size}\nfiles.paths = ["trail.json.gz"]\n'
        )

    limited_to(len(bomb))
    product.run("collect", "trail")
    (letter,) = product.letters()
    assert (letter["stage"], letter["reason"], letter["size"]) == ("collect", "MalformedBody", len(bomb))
    assert product.json("dead-letters", "show", letter["id"])["encoding"] == "base64"
    assert product.run("dead-letters", "show", letter["id"], "--raw") == bomb
    (refused,) = product.json("dead-letters", "redrive", letter["id"], code=5)
    assert refused["outcome"] == "stays dead"

    limited_to(1_000_000)
    (done,) = product.json("dead-letters", "redrive", letter["id"])
    assert (done["outcome"], done["records"]) == ("redriven", 20)
    with product.worker("index"):
        until(lambda: product.json("search", "*", "-n", product.namespace, "--count") == {"count": 20})


def test_an_id_that_there_is_not_is_told(product: Product) -> None:
    product.run("dead-letters", "show", "0123456789abcdef0123", code=3)
    product.run("dead-letters", "redrive", "0123456789abcdef0123", code=3)


def test_doctor_is_content_with_engines_that_were_brought_up(product: Product) -> None:
    found = product.json("doctor")
    assert [check for check in found["checks"] if check["state"] == "fail"] == []
    assert {"kafka topics", "templates", "rights of indexer", "clock"} <= {c["name"] for c in found["checks"]}


def test_a_role_refuses_an_identity_that_may_read(product: Product, engines: EngineState) -> None:
    too_much = {
        "SKYTRAIL_ELASTICSEARCH__URL": engines.elasticsearch_url,
        **{
            f"SKYTRAIL_ELASTICSEARCH__{duty}__{name}": value
            for duty in ("INDEXER", "READER")
            for name, value in (("USERNAME", "reader"), ("PASSWORD", engines.elasticsearch_users["reader"]))
        },
    }
    product.environment |= too_much
    command = [sys.executable, "-m", "skytrail", "worker", "index"]
    done = subprocess.run(
        command, env={**os.environ, **product.environment}, capture_output=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 3
    assert b"testing the rights of indexer: it may" in done.stderr
    assert b"search in logs-aws.cloudtrail-*" in done.stderr
