"""A key of AWS KMS wraps the data keys; it never leaves KMS. Region and credentials are those of the AWS tools.

Needed rights: sealing kms:Encrypt, kms:DescribeKey and kms:Decrypt; reading kms:Decrypt. The context (namespace and
id of the data key) is the encryption context: a policy can allow single namespaces, CloudTrail shows which was used.

https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from ingest.schema.errors import ConfigError, SkytrailError, StoreUnavailable
from storage.datakeys.provider import Wrapped
from storage.datakeys.settings import EncryptionSettings

_PASSING: Final = {"ThrottlingException", "KMSInternalException", "DependencyTimeoutException", "InternalFailure"}
# At DEBUG these write the bodies of requests and answers: data keys in the clear.
_TALKATIVE: Final = ("botocore.endpoint", "botocore.parsers")


class AwsKmsProvider:
    """See the head of this module.

    Args:
        key: ARN, id or alias of the key that wraps.
        client: A client of KMS; None: made of what boto3 finds.
    """

    name = "aws_kms"

    def __init__(self, key: str, client: Any = None) -> None:
        self._key = key
        self._client = client
        self._arn = ""

    def current(self) -> str:
        """See `KeyProvider.current`: the ARN."""
        if not self._arn:
            self._arn = self._call("describe_key", KeyId=self._key)["KeyMetadata"]["Arn"]
        return self._arn

    def wrap(self, key: bytes, context: Mapping[str, str]) -> Wrapped:
        """See `KeyProvider.wrap`."""
        answer = self._call("encrypt", KeyId=self.current(), Plaintext=key, EncryptionContext=dict(context))
        return Wrapped(self.current(), answer["CiphertextBlob"])

    def unwrap(self, wrapped: Wrapped, context: Mapping[str, str]) -> bytes:
        """See `KeyProvider.unwrap`."""
        answer = self._call("decrypt", KeyId=wrapped.kek, CiphertextBlob=wrapped.body, EncryptionContext=dict(context))
        plain: bytes = answer["Plaintext"]
        return plain

    def ready(self) -> None:
        """See `KeyProvider.ready`."""
        told = self._call("describe_key", KeyId=self._key)["KeyMetadata"]
        if told["KeyState"] != "Enabled":
            raise ConfigError(
                f"reading the wrapping key: its state is {told['KeyState']}",
                where=told["Arn"],
                mend="enable it (`aws kms enable-key`), cancel its deletion, or name another one in the settings",
            )

    def renew(self) -> None:
        """See `KeyProvider.renew`: keys of KMS are made in KMS, and `archive.encryption.kms_key` names the new one."""

    def _call(self, operation: str, **asked: Any) -> dict[str, Any]:
        try:
            for name in _TALKATIVE:
                logging.getLogger(name).setLevel(logging.INFO)
            if self._client is None:
                config = Config(retries={"mode": "standard", "max_attempts": 3}, connect_timeout=5, read_timeout=10)
                self._client = boto3.client("kms", config=config)
            answer: dict[str, Any] = getattr(self._client, operation)(**asked)
        except (ClientError, BotoCoreError) as exc:
            raise _explained(operation, str(asked.get("KeyId", "")), exc) from exc
        return answer


def open_provider(settings: EncryptionSettings, state_dir: Path) -> AwsKmsProvider:
    """The provider of the settings."""
    del state_dir
    return AwsKmsProvider(settings.kms_key)


def _explained(operation: str, key: str, error: Exception) -> SkytrailError:
    what = f"asking KMS to {operation.replace('_', ' ')}: {error}"
    if isinstance(error, ClientError):
        refused = error.response.get("Error", {}).get("Code", "") not in _PASSING
    else:
        refused = isinstance(error, NoCredentialsError | NoRegionError)
    if refused:
        mend = "the identity needs kms:Encrypt, kms:Decrypt and kms:DescribeKey of this key; is it enabled?"
        return ConfigError(what, where=key, mend=mend)
    return StoreUnavailable(what, where=key, mend="it is made again; check the network and the state of KMS")
