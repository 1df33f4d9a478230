"""AWS on this machine: moto as a process of its own, one for the whole run, emptied before each test."""

from __future__ import annotations

import atexit
import functools
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from skytrail.local.ports import any_free

REGION = "eu-central-1"
ACCOUNT = "123456789012"
THEIRS = "222222222222"
_START_TIMEOUT_S = 180.0  # on a machine with much else to do


@functools.cache
def moto() -> str:
    """The address of the server, started when first asked for."""
    port = any_free()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    atexit.register(process.wait)
    atexit.register(process.terminate)
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            _post(f"{address}/moto-api/reset")
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline, "moto did not start"
            assert process.poll() is None, "moto ended"
            time.sleep(0.2)
        else:
            return address


def _post(url: str) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=10):
        pass


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    """An empty cloud; the product finds its credentials as the AWS tools do."""
    for name, value in (("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    _post(f"{moto()}/moto-api/reset")
    return Aws(moto())


@dataclass
class Aws:
    """A cloud at an address.

    Attributes:
        taken: Credentials of a role, as STS answers them; None are those of the test's account.
    """

    endpoint: str
    taken: dict[str, Any] | None = None

    def client(self, service: str) -> Any:
        taken = self.taken or {"AccessKeyId": "test", "SecretAccessKey": "test", "SessionToken": None}
        return _client(service, self.endpoint, taken["AccessKeyId"], taken["SecretAccessKey"], taken["SessionToken"])

    def queue(self, name: str, *, receptions: int = 3, **attributes: str) -> str:
        """A queue with a dead-letter queue `<name>-dead`; its address."""
        sqs = self.client("sqs")
        fifo = name.endswith(".fifo")
        dead = f"{name.removesuffix('.fifo')}-dead{'.fifo' if fifo else ''}"
        kind = {"FifoQueue": "true"} if fifo else {}
        sqs.create_queue(QueueName=dead, Attributes=kind)
        account = ACCOUNT if self.taken is None else THEIRS
        policy = json.dumps({"deadLetterTargetArn": arn("sqs", dead, account), "maxReceiveCount": receptions})
        made = sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": policy, **kind, **attributes})
        return str(made["QueueUrl"])

    def bucket(self, name: str, *, versions: bool = False) -> None:
        s3 = self.client("s3")
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        if versions:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})

    def announce(self, bucket: str, *, account: str = ACCOUNT, **configuration: Any) -> None:
        """Set up who hears of new objects, e.g. ``queue="name"``."""
        kinds = {
            "queue": ("QueueConfigurations", "QueueArn", "sqs"),
            "topic": ("TopicConfigurations", "TopicArn", "sns"),
        }
        made: dict[str, Any] = {}
        for kind, name in configuration.items():
            if kind == "events":
                made["EventBridgeConfiguration"] = {}
                continue
            table, key, service = kinds[kind]
            made[table] = [{key: arn(service, name, account), "Events": ["s3:ObjectCreated:*"]}]
        self.client("s3").put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=made)

    def counts(self, queue_url: str) -> tuple[int, int]:
        """Messages that can be received, and hidden ones."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])


@functools.cache
def _client(service: str, endpoint: str, key: str, secret: str, token: str | None) -> Any:
    """Kept, since making one takes longer than most tests."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
    )


def arn(service: str, name: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:{service}:{REGION}:{account}:{name}"
