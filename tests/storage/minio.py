"""A MinIO of the tests: it keeps Object Lock as S3 does. On demand, since MinIO is a program of its own.

Install it anywhere on the path: `go install github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c` (eight minutes).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

from skytrail.local.ports import any_free
from storage.verify import bucket

MINIO = shutil.which("minio")
START_S = 60.0
REGION = "us-east-1"
USER, PASSWORD = "root-of-test", "secret-of-test"


@contextmanager
def running(root: Path) -> Iterator[str]:
    """The URL of a MinIO that keeps its objects in a directory."""
    assert MINIO is not None
    url = f"http://127.0.0.1:{any_free()}"
    command = [MINIO, "server", str(root), "--address", url.removeprefix("http://"), "--quiet"]
    secrets = {"MINIO_ROOT_USER": USER, "MINIO_ROOT_PASSWORD": PASSWORD, "MINIO_BROWSER": "off"}
    process = subprocess.Popen(
        command, env={**os.environ, **secrets}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(f"{url}/minio/health/cluster", process)
        yield url
    finally:
        process.terminate()
        process.wait()


def client_of(url: str) -> Any:
    """A client of the S3 at an address."""
    return boto3.client(
        "s3", endpoint_url=url, region_name=REGION, aws_access_key_id=USER, aws_secret_access_key=PASSWORD
    )


@contextmanager
def in_environment(url: str) -> Iterator[None]:
    """The S3 at an address is what the AWS tools find, in this process and in those that it starts."""
    found = {
        "AWS_ENDPOINT_URL_S3": url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": USER,
        "AWS_SECRET_ACCESS_KEY": PASSWORD,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in found.items():
            patch.setenv(name, value)
        _forgotten()
        yield
    _forgotten()


def _forgotten() -> None:
    """The verifier has one client for all buckets, of the environment that it first saw."""
    bucket._client.cache_clear()
    bucket._locks.cache_clear()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            assert process.poll() is None, "MinIO ended"
            assert time.monotonic() < deadline, "MinIO did not start"
            time.sleep(0.2)
