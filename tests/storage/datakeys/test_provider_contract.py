"""What every key provider promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

import storage.datakeys.providers
from ingest.schema.errors import ConfigError, StoreUnavailable
from storage.datakeys.provider import KeyProvider, Wrapped
from storage.datakeys.providers.aws_kms import AwsKmsProvider
from storage.datakeys.providers.file import FileProvider

KEY = bytes(range(32))
CONTEXT = {"namespace": "acme", "id": "2026-03-00000000"}


def kms() -> AwsKmsProvider:
    client = boto3.client("kms", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
    return AwsKmsProvider(client.create_key()["KeyMetadata"]["KeyId"], client)


PROVIDERS: dict[str, Callable[[Path], KeyProvider]] = {
    "file": lambda root: FileProvider(root / "keks"),
    "aws_kms": lambda _: kms(),
}


@pytest.fixture(params=sorted(PROVIDERS))
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyProvider]:
    with mock_aws():
        yield PROVIDERS[request.param](tmp_path)


def test_every_provider_is_in_this_suite() -> None:
    found = {path.stem for path in Path(storage.datakeys.providers.__path__[0]).glob("[a-z]*.py")}
    assert found == set(PROVIDERS)


def test_what_was_wrapped_is_unwrapped_and_not_readable_before(provider: KeyProvider) -> None:
    wrapped = provider.wrap(KEY, CONTEXT)
    assert KEY not in wrapped.body
    assert wrapped.kek == provider.current()
    assert provider.unwrap(wrapped, CONTEXT) == KEY


def test_a_key_opens_only_under_its_own_name(provider: KeyProvider) -> None:
    wrapped = provider.wrap(KEY, CONTEXT)
    with pytest.raises(ConfigError):
        provider.unwrap(wrapped, CONTEXT | {"namespace": "globex"})


def test_a_changed_wrapping_is_refused(provider: KeyProvider) -> None:
    wrapped = provider.wrap(KEY, CONTEXT)
    with pytest.raises(ConfigError):
        provider.unwrap(Wrapped(wrapped.kek, wrapped.body[:-1] + bytes([wrapped.body[-1] ^ 1])), CONTEXT)


def test_what_an_older_wrapping_key_wrapped_is_still_unwrapped(provider: KeyProvider) -> None:
    wrapped = provider.wrap(KEY, CONTEXT)
    provider.renew()
    assert provider.unwrap(wrapped, CONTEXT) == KEY
    again = provider.wrap(KEY, CONTEXT)
    assert provider.unwrap(again, CONTEXT) == KEY
    assert again.body != wrapped.body


def test_a_wrapping_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    provider = FileProvider(tmp_path)
    wrapped = provider.wrap(KEY, CONTEXT)
    (path,) = tmp_path.glob("*.kek")
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="others may read it"):
        provider.unwrap(wrapped, CONTEXT)


@pytest.mark.parametrize("content", ["", "zz", "00" * 31])
def test_a_file_that_is_no_key_is_refused_and_not_shown(tmp_path: Path, content: str) -> None:
    provider = FileProvider(tmp_path)
    wrapped = provider.wrap(KEY, CONTEXT)
    (path,) = tmp_path.glob("*.kek")
    path.write_text(content)
    with pytest.raises(ConfigError, match="not 64 hex digits"):
        provider.unwrap(wrapped, CONTEXT)


def test_a_lost_wrapping_key_is_named_with_what_to_do(tmp_path: Path) -> None:
    provider = FileProvider(tmp_path)
    wrapped = provider.wrap(KEY, CONTEXT)
    (path,) = tmp_path.glob("*.kek")
    path.unlink()
    with pytest.raises(ConfigError) as caught:
        provider.unwrap(wrapped, CONTEXT)
    assert caught.value.where == str(path)
    assert "lost-or-leaked" in caught.value.mend


class Failing:
    """A client of KMS that answers with an error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        def fail(**_: Any) -> Any:
            raise self._error

        return fail


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ClientError({"Error": {"Code": "AccessDeniedException"}}, "Decrypt"), ConfigError),
        (ClientError({"Error": {"Code": "DisabledException"}}, "Decrypt"), ConfigError),
        (ClientError({"Error": {"Code": "ThrottlingException"}}, "Decrypt"), StoreUnavailable),
        (EndpointConnectionError(endpoint_url="https://kms"), StoreUnavailable),
    ],
    ids=["denied", "disabled", "throttled", "away"],
)
def test_kms_that_refuses_stops_and_kms_that_is_away_is_asked_again(error: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        AwsKmsProvider("arn", Failing(error)).unwrap(Wrapped("arn", b"x"), CONTEXT)
