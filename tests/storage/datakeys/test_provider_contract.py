"""What every key provider promises."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from ingest.schema.errors import ConfigError, StoreUnavailable
from storage.datakeys.provider import KeyProvider, Wrapped
from storage.datakeys.providers.aws_kms import AwsKmsProvider
from storage.datakeys.providers.azure_key_vault import AzureKeyVaultProvider
from storage.datakeys.providers.azure_key_vault_settings import AzureKeyVaultSettings
from storage.datakeys.providers.file import FileProvider
from storage.datakeys.providers.google_cloud_kms import GoogleCloudKmsProvider
from storage.datakeys.providers.google_cloud_kms_settings import GoogleCloudKmsSettings
from storage.datakeys.registry import all_providers
from tests.doubles.cloud_kms import KEY as GOOGLE_KEY
from tests.doubles.cloud_kms import cloud_kms
from tests.doubles.key_vault import KEY as AZURE_KEY
from tests.doubles.key_vault import key_vault

KEY = bytes(range(32))
CONTEXT = {"purpose": "skytrail archive", "namespace": "acme", "id": "2026-03-00000000"}


Opened = Callable[[], KeyProvider]
"""Opens the provider anew, as another process does."""
Parts = tuple[Opened, Callable[[], object], Callable[[str], object]]


def kms() -> AwsKmsProvider:
    client = boto3.client("kms", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
    return AwsKmsProvider(client.create_key()["KeyMetadata"]["KeyId"], client)


@contextmanager
def opened_file(root: Path, _: pytest.MonkeyPatch) -> Iterator[Parts]:
    def switch(state: str) -> None:
        for path in (root / "keks").iterdir():
            path.chmod(0o600 if state == "on" else 0o644)

    yield lambda: FileProvider(root / "keks"), FileProvider(root / "keks").renew, switch


@contextmanager
def opened_aws(_: Path, __: pytest.MonkeyPatch) -> Iterator[Parts]:
    with mock_aws():
        one = kms()

        def switch(state: str) -> None:
            (one._client.enable_key if state == "on" else one._client.disable_key)(
                KeyId=one.current().rpartition("/")[2]
            )

        yield lambda: AwsKmsProvider(one.current(), one._client), lambda: None, switch


@contextmanager
def opened_azure(_: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parts]:
    with key_vault(monkeypatch) as vault:
        settings = AzureKeyVaultSettings(key=AZURE_KEY, endpoint=vault.address)

        def switch(state: str) -> None:
            vault.versions[-1].enabled = state == "on"

        yield lambda: AzureKeyVaultProvider(settings), vault.rotate, switch


@contextmanager
def opened_google(root: Path, _: pytest.MonkeyPatch) -> Iterator[Parts]:
    with cloud_kms(root) as (service, file):
        settings = GoogleCloudKmsSettings(key=GOOGLE_KEY, endpoint=service.address, credentials_file=file)

        def switch(state: str) -> None:
            service.states[service.primary] = "ENABLED" if state == "on" else "DISABLED"

        yield lambda: GoogleCloudKmsProvider(settings), service.rotate, switch


PROVIDERS: dict[str, Callable[[Path, pytest.MonkeyPatch], Any]] = {
    "file": opened_file,
    "aws_kms": opened_aws,
    "azure_key_vault": opened_azure,
    "google_cloud_kms": opened_google,
}


@dataclass(frozen=True, slots=True)
class Site:
    """A provider of one kind, and how its wrapping key gets a new version, or is switched off and on, where it lies."""

    open: Opened
    rotate: Callable[[], object]
    switch: Callable[[str], object]


@pytest.fixture(params=sorted(PROVIDERS))
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with PROVIDERS[request.param](tmp_path, monkeypatch) as (opened, rotate, switch):
        yield Site(opened, rotate, switch)


@pytest.fixture
def provider(site: Site) -> KeyProvider:
    return site.open()


def test_every_provider_is_in_this_suite() -> None:
    assert set(all_providers()) == set(PROVIDERS)


def test_a_provider_has_the_name_of_its_file(provider: KeyProvider, request: pytest.FixtureRequest) -> None:
    assert request.node.callspec.params["site"] == provider.name


def test_what_was_wrapped_is_unwrapped_and_not_readable_before(provider: KeyProvider) -> None:
    wrapped = provider.wrap(KEY, CONTEXT)
    assert KEY not in wrapped.body
    assert wrapped.kek == provider.current()
    assert provider.unwrap(wrapped, CONTEXT) == KEY


def test_a_key_opens_only_under_its_own_name(provider: KeyProvider) -> None:
    wrapped = provider.wrap(KEY, CONTEXT)
    with pytest.raises(ConfigError):
        provider.unwrap(wrapped, CONTEXT | {"namespace": "globex"})


@pytest.mark.parametrize("other", [{"id": "2026-04-00000000"}, {"purpose": "another"}], ids=["month", "purpose"])
def test_a_key_opens_in_no_other_month_and_for_nothing_else(provider: KeyProvider, other: dict[str, str]) -> None:
    wrapped = provider.wrap(KEY, CONTEXT)
    with pytest.raises(ConfigError):
        provider.unwrap(wrapped, CONTEXT | other)


def test_a_changed_wrapping_is_refused(provider: KeyProvider) -> None:
    wrapped = provider.wrap(KEY, CONTEXT)
    for changed in (wrapped.body[:-1] + bytes([wrapped.body[-1] ^ 1]), wrapped.body[:-1]):
        with pytest.raises(ConfigError) as caught:
            provider.unwrap(Wrapped(wrapped.kek, changed), CONTEXT)
        assert caught.value.mend


def test_no_data_key_is_logged_whatever_is_asked_to_log(provider: KeyProvider) -> None:
    told: list[str] = []
    handler = logging.Handler(logging.DEBUG)
    handler.emit = lambda record: told.append(f"{record.getMessage()} {vars(record)}")  # type: ignore[method-assign]
    loggers = [logging.getLogger(name) for name in ("", "google", "azure", "botocore", "urllib3")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    try:
        assert provider.unwrap(provider.wrap(KEY, CONTEXT), CONTEXT) == KEY
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
    assert told or provider.name == "file"
    written = "".join(told)
    shapes = (KEY.hex(), base64.b64encode(KEY).decode()[:40], base64.urlsafe_b64encode(KEY).decode()[:40], repr(KEY))
    assert [shape for shape in shapes if shape in written] == []


def test_a_wrapping_key_that_is_switched_off_is_known_before_anything_is_wrapped(site: Site) -> None:
    provider = site.open()
    wrapped = provider.wrap(KEY, CONTEXT)
    provider.ready()
    site.switch("off")
    for each in (provider, site.open()):
        with pytest.raises(ConfigError) as caught:
            each.ready()
        assert caught.value.mend
    site.switch("on")
    provider.ready()
    assert provider.unwrap(wrapped, CONTEXT) == KEY


def test_another_process_unwraps_it_too(site: Site) -> None:
    wrapped = site.open().wrap(KEY, CONTEXT)
    assert site.open().unwrap(wrapped, CONTEXT) == KEY


def test_a_wrapping_key_that_gets_a_new_version_wraps_with_it_at_once_and_unwraps_the_old(site: Site) -> None:
    running = site.open()
    before = running.wrap(KEY, CONTEXT)
    site.rotate()
    changed = site.open().current() != before.kek  # AWS tells nothing of versions
    after = running.wrap(KEY, CONTEXT)
    assert (after.kek != before.kek) is changed
    assert after.kek == running.current() == site.open().current()
    for each in (before, after):
        assert running.unwrap(each, CONTEXT) == site.open().unwrap(each, CONTEXT) == KEY


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
