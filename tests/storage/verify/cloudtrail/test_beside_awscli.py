"""Beside `aws cloudtrail validate-logs`, unmodified, on the same bucket: what it lets pass, ours does not.

S3 is a moto server; the two operations of CloudTrail that the validator calls are answered by a stand-in, since moto
does not know ListPublicKeys. awscli is installed by uv in an environment of its own.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from storage.verify.cloudtrail.keys import read_keys
from storage.verify.cloudtrail.trail import Trail
from storage.verify.findings import Summary
from storage.verify.places import Directory
from storage.verify.scope import Scope
from tests.storage.verify.cloudtrail.samples import (
    ACCOUNT,
    BUCKET,
    HOUR,
    REGION,
    START,
    Digested,
    MadeTrail,
    a_trail,
    iso,
    key_list,
    regular,
)

AWSCLI = "awscli==1.46.3"
END = START + 5 * HOUR


class _CloudTrail(BaseHTTPRequestHandler):
    """Answers ListPublicKeys."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps(key_list()).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        pass


@dataclass
class Validator:
    """The foreign command and its two services."""

    command: str
    s3: str
    cloudtrail: str

    def run(self, made: MadeTrail) -> tuple[int, str]:
        client = boto3.client(
            "s3", endpoint_url=self.s3, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test"
        )
        client.create_bucket(Bucket=BUCKET)
        for entry in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
            client.delete_object(Bucket=BUCKET, Key=entry["Key"])
        for key, body in made.objects.items():
            client.put_object(Bucket=BUCKET, Key=key, Body=body, Metadata=made.metadata.get(key, {}))
        arn = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/t1"
        span = ["--start-time", iso(START), "--end-time", iso(END), "--s3-bucket", BUCKET]
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL_S3": self.s3,
            "AWS_ENDPOINT_URL_CLOUDTRAIL": self.cloudtrail,
        }
        done = subprocess.run(
            [self.command, "cloudtrail", "validate-logs", "--trail-arn", arn, *span, "--region", REGION, "--verbose"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def validator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Validator]:
    home = tmp_path_factory.mktemp("awscli")
    try:
        for words in (["venv", home], ["pip", "install", "--python", home, AWSCLI]):
            subprocess.run(["uv", *words], capture_output=True, check=True, timeout=240)
    except (OSError, subprocess.SubprocessError):
        pytest.skip(f"{AWSCLI} can't be installed here (needs uv and a package index)")
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    stand_in = ThreadingHTTPServer(("127.0.0.1", 0), _CloudTrail)
    threading.Thread(target=stand_in.serve_forever, daemon=True).start()
    host, port = moto.get_host_and_port()
    yield Validator(
        str(home / "bin" / "aws"), f"http://{host}:{port}", f"http://127.0.0.1:{stand_in.server_address[1]}"
    )
    stand_in.shutdown()
    moto.stop()


def ours(made: MadeTrail, tmp_path: Path) -> int:
    """The exit code of our verdict on a copy of the same bucket."""
    (tmp_path / "keys.json").write_text(json.dumps(key_list()))
    summary = Summary()
    place = Directory(made.write(tmp_path / "copy"))
    list(Trail(place, read_keys([tmp_path / "keys.json"]), Scope(since=START, until=END), END, summary).check())
    return 0 if summary.ok else 1 if summary.tampered else 5


def clean(made: MadeTrail) -> None:
    pass


def altered_log(made: MadeTrail) -> None:
    made.objects[made.logs[3]] = gzip.compress(b'{"Records":[]}')


def deleted_log(made: MadeTrail) -> None:
    del made.objects[made.logs[3]]


def altered_digest(made: MadeTrail) -> None:
    key = regular(made)[2]
    content = gzip.decompress(made.objects[key]).replace(b'"oldestEventTime"', b'"oldestEventTimes"')
    made.objects[key] = gzip.compress(content, mtime=0)


def deleted_digest(made: MadeTrail) -> None:
    del made.objects[regular(made)[2]]


def begun_anew(made: MadeTrail) -> None:
    """Logging was stopped for two hours: the last digest begins a new chain."""
    for key in regular(made)[-3:]:
        del made.objects[key]
    made.add_digest(END, None, [])


def cut_off(made: MadeTrail) -> None:
    for key in regular(made)[-3:]:
        del made.objects[key]


def unread_hash(made: MadeTrail) -> None:
    """A digest names another hash for its predecessor than that has."""
    last = regular(made)[-2]
    previous = Digested(last, END - HOUR, "00" * 32, made.metadata[last]["signature"])
    made.add_digest(END, previous, made.logs[6:8])


def unlisted_log(made: MadeTrail) -> None:
    made.add_log(START + HOUR / 2, 777)


def unlisted_log_of_the_future(made: MadeTrail) -> None:
    made.add_log(END + 9000 * HOUR, 777)


def log_of_no_region(made: MadeTrail) -> None:
    made.objects[f"{made.logs[0].partition('CloudTrail/')[0]}CloudTrail/forged_20261120T0830Z_x.json.gz"] = b"x"


def nothing_left(made: MadeTrail) -> None:
    made.objects.clear()


def doubled_gzip(made: MadeTrail) -> None:
    made.objects[made.logs[3]] += gzip.compress(b'{"Records":[{"eventID":"smuggled"}]}')


@pytest.mark.parametrize("change", [clean, altered_log, deleted_log, altered_digest, deleted_digest, doubled_gzip])
def test_what_the_other_validator_finds_we_find(
    validator: Validator, tmp_path: Path, change: Callable[[MadeTrail], None]
) -> None:
    made = a_trail(backfill=False)
    change(made)
    code, text = validator.run(made)
    assert (code == 0) == (change is clean), text
    assert ours(made, tmp_path) == (0 if change is clean else 1)


UNSEEN = [begun_anew, cut_off, unread_hash, unlisted_log, unlisted_log_of_the_future, log_of_no_region, nothing_left]


@pytest.mark.parametrize("change", UNSEEN)
def test_what_the_other_validator_lets_pass_we_find(
    validator: Validator, tmp_path: Path, change: Callable[[MadeTrail], None]
) -> None:
    made = a_trail(backfill=False)
    change(made)
    code, text = validator.run(made)
    assert code == 0, text
    assert ("No digests found" if change is nothing_left else "valid") in text
    assert ours(made, tmp_path) == 1
