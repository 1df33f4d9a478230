"""The real client of Cloud KMS against a service of ours: credentials, sums, faults, states of keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.schema.errors import ConfigError, StoreUnavailable
from storage.datakeys.provider import Wrapped
from storage.datakeys.providers.google_cloud_kms import GoogleCloudKmsProvider
from storage.datakeys.providers.google_cloud_kms_settings import GoogleCloudKmsSettings
from tests.doubles.cloud_kms import KEY, CloudKms, cloud_kms, error
from tests.doubles.serving import CUT, Answer

DATA_KEY = bytes(range(32))
CONTEXT = {"namespace": "acme", "id": "2026-03-00000000"}
EXHAUSTED = error(429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Cryptographic requests'.")


class Service:
    """A service and its providers."""

    def __init__(self, kms: CloudKms, file: Path) -> None:
        self.kms = kms
        self.file = file

    def opened(self, **changes: object) -> GoogleCloudKmsProvider:
        told = {"key": KEY, "endpoint": self.kms.address, "credentials_file": self.file, "request_timeout_s": 2.0}
        return GoogleCloudKmsProvider(GoogleCloudKmsSettings.model_validate(told | changes))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with cloud_kms(tmp_path) as (kms, file):
        yield Service(kms, file)


def test_the_version_that_wrapped_is_told(service: Service) -> None:
    provider = service.opened()
    assert provider.current() == f"{KEY}/cryptoKeyVersions/1"
    service.kms.rotate()
    assert provider.wrap(DATA_KEY, CONTEXT).kek == f"{KEY}/cryptoKeyVersions/2" == provider.current()


def test_credentials_of_another_account_are_refused(service: Service, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    text = service.file.read_text().replace("skytrail@acme", "other@acme")
    other = tmp_path / "other" / "google.json"
    other.write_text(text)
    with pytest.raises(ConfigError, match="401") as caught:
        service.opened(credentials_file=other).current()
    assert "credentials_file" in caught.value.mend


@pytest.mark.parametrize("text", ["", "{}", '{"type": "service_account"}', '{"type": "external_account"}'])
def test_a_file_without_credentials_is_refused(service: Service, text: str) -> None:
    service.file.write_text(text)
    with pytest.raises(ConfigError, match="reading credentials"):
        service.opened().current()


@pytest.mark.parametrize(
    "damaged",
    [
        {"verifiedPlaintextCrc32c": False},
        {"verifiedAdditionalAuthenticatedDataCrc32c": False},
        {"ciphertextCrc32c": "1"},
        {"ciphertextCrc32c": None},
        {"ciphertext": "AAAA"},
    ],
)
def test_a_damaged_encryption_is_made_again_and_not_kept(service: Service, damaged: dict[str, object]) -> None:
    provider = service.opened()
    service.kms.damage = [damaged, damaged]
    assert provider.unwrap(provider.wrap(DATA_KEY, CONTEXT), CONTEXT) == DATA_KEY
    service.kms.damage = [damaged] * 3
    with pytest.raises(StoreUnavailable, match="CRC32C"):
        provider.wrap(DATA_KEY, CONTEXT)
    assert service.kms.damage == []


@pytest.mark.parametrize("damaged", [{"plaintextCrc32c": "1"}, {"plaintextCrc32c": None}, {"plaintext": "AAAA"}])
def test_a_damaged_decryption_is_asked_for_again_and_not_used(service: Service, damaged: dict[str, object]) -> None:
    provider = service.opened()
    wrapped = provider.wrap(DATA_KEY, CONTEXT)
    service.kms.damage = [damaged, damaged]
    assert provider.unwrap(wrapped, CONTEXT) == DATA_KEY
    service.kms.damage = [damaged] * 3
    with pytest.raises(StoreUnavailable, match="CRC32C"):
        provider.unwrap(wrapped, CONTEXT)


def test_an_answer_in_the_name_of_another_key_is_refused(service: Service) -> None:
    service.kms.damage = [{"name": KEY.replace("acme", "evil") + "/cryptoKeyVersions/1"}]
    with pytest.raises(ConfigError, match="another key answered"):
        service.opened().wrap(DATA_KEY, CONTEXT)


FAULTS = {
    "429": EXHAUSTED,
    "cut": CUT,
    "500": error(500, "INTERNAL", "Internal error encountered."),
    "503": error(503, "UNAVAILABLE", "The service is currently unavailable."),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", ["current", "wrap", "unwrap"])
def test_a_fault_that_passes_is_not_noticed(service: Service, fault: str, call: str) -> None:
    wrapped = service.opened().wrap(DATA_KEY, CONTEXT)
    provider = service.opened()
    service.kms.faults = [FAULTS[fault]] * 2
    made = {
        "current": lambda: provider.current() == wrapped.kek,
        "wrap": lambda: provider.wrap(DATA_KEY, CONTEXT).kek == wrapped.kek,
        "unwrap": lambda: provider.unwrap(wrapped, CONTEXT) == DATA_KEY,
    }
    assert made[call]()
    assert service.kms.faults == []


@pytest.mark.parametrize(
    ("fault", "mend"),
    [
        (EXHAUSTED, "quota"),
        (CUT, "network"),
        (FAULTS["503"], "network"),
        (Answer(200, b"<html>"), "network"),
    ],
    ids=["429", "cut", "503", "no JSON"],
)
def test_a_fault_that_stays_is_one_to_ask_again_after(service: Service, fault: Answer, mend: str) -> None:
    provider = service.opened()
    wrapped = provider.wrap(DATA_KEY, CONTEXT)
    service.kms.always = fault
    with pytest.raises(StoreUnavailable) as caught:
        provider.unwrap(wrapped, CONTEXT)
    assert mend in caught.value.mend
    assert caught.value.where == wrapped.kek
    service.kms.always = None
    assert provider.unwrap(wrapped, CONTEXT) == DATA_KEY


def test_a_service_that_does_not_answer_in_time_is_one_to_ask_again(service: Service) -> None:
    provider = service.opened(request_timeout_s=0.4)
    wrapped = provider.wrap(DATA_KEY, CONTEXT)
    service.kms.always = Answer(200, late_s=0.8)
    with pytest.raises(StoreUnavailable, match=r"(?i)timed out"):
        provider.unwrap(wrapped, CONTEXT)


def test_a_service_that_is_not_there_is_one_to_ask_again(service: Service) -> None:
    with pytest.raises(StoreUnavailable, match="read the wrapping key"):
        service.opened(endpoint="http://127.0.0.1:1").current()


def test_a_permission_that_lacks_is_named_with_the_roles(service: Service) -> None:
    provider = service.opened()
    wrapped = provider.wrap(DATA_KEY, CONTEXT)
    service.kms.granted = set()
    calls = {
        "cryptoKeys.get": lambda: service.opened().current(),
        "useToEncrypt": lambda: provider.wrap(DATA_KEY, CONTEXT),
        "useToDecrypt": lambda: provider.unwrap(wrapped, CONTEXT),
    }
    for right, call in calls.items():
        with pytest.raises(ConfigError, match=right) as caught:
            call()
        assert "roles/cloudkms.cryptoKeyEncrypterDecrypter" in caught.value.mend


def test_who_reads_needs_the_right_to_decrypt_and_no_other(service: Service) -> None:
    wrapped = service.opened().wrap(DATA_KEY, CONTEXT)
    service.kms.granted = {"cloudkms.cryptoKeyVersions.useToDecrypt"}
    assert service.opened().unwrap(wrapped, CONTEXT) == DATA_KEY


def test_an_interface_that_is_switched_off_is_told_as_that(service: Service) -> None:
    reason = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "SERVICE_DISABLED",
        "domain": "googleapis.com",
    }
    service.kms.always = error(403, "PERMISSION_DENIED", "Cloud KMS API has not been used in project acme.", reason)
    with pytest.raises(ConfigError) as caught:
        service.opened().current()
    assert "gcloud services enable" in caught.value.mend


@pytest.mark.parametrize(
    ("state", "mend"),
    [
        ("DISABLED", "versions enable"),
        ("DESTROY_SCHEDULED", "versions restore"),
        ("DESTROYED", "lost for ever"),
        ("PENDING_GENERATION", "wait"),
    ],
)
def test_a_version_that_is_not_enabled_neither_wraps_nor_unwraps(service: Service, state: str, mend: str) -> None:
    provider = service.opened()
    wrapped = provider.wrap(DATA_KEY, CONTEXT)
    service.kms.states[1] = state
    calls = (
        lambda: provider.unwrap(wrapped, CONTEXT),
        lambda: provider.wrap(DATA_KEY, CONTEXT),
        lambda: service.opened().current(),
    )
    for call in calls:
        with pytest.raises(ConfigError, match=state) as caught:
            call()
        assert mend in caught.value.mend
    service.kms.states[1] = "ENABLED"
    assert provider.unwrap(wrapped, CONTEXT) == DATA_KEY


def test_a_key_for_signatures_or_without_a_version_is_refused(service: Service) -> None:
    service.kms.purpose = "ASYMMETRIC_SIGN"
    with pytest.raises(ConfigError, match="not for symmetric encryption"):
        service.opened().current()
    service.kms.purpose = "ENCRYPT_DECRYPT"
    service.kms.damage = []
    service.kms.without_primary = True
    with pytest.raises(ConfigError, match="no primary version"):
        service.opened().current()


def test_a_key_that_is_not_there_is_told(service: Service) -> None:
    with pytest.raises(ConfigError, match="not found") as caught:
        service.opened(key=f"{KEY}2").current()
    assert "correct the name" in caught.value.mend


def test_a_key_that_the_settings_do_not_name_is_not_asked(service: Service) -> None:
    wrapped = service.opened().wrap(DATA_KEY, CONTEXT)
    service.kms.asked = []
    for kek in (wrapped.kek.replace("acme", "evil"), KEY, "", "/cryptoKeyVersions/1"):
        with pytest.raises(ConfigError, match="do not name"):
            service.opened().unwrap(Wrapped(kek, wrapped.body), CONTEXT)
    with pytest.raises(ConfigError, match="former_keys"):
        service.opened(key=f"{KEY}2").unwrap(wrapped, CONTEXT)
    assert service.kms.asked == []
    assert service.opened(key=f"{KEY}2", former_keys=(KEY,)).unwrap(wrapped, CONTEXT) == DATA_KEY


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": "archive"},
        {"key": f"{KEY}/cryptoKeyVersions/1"},
        {"key": f"{KEY}/../other"},
        {"former_keys": ("archive",)},
        {"endpoint": "http://10.0.0.1:80"},
        {"endpoint": "https://cloudkms.evil.example"},
        {"endpoint": "http://localhost:80"},
    ],
)
def test_settings_name_a_key_and_no_server_beyond_loopback(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="should match pattern"):
        GoogleCloudKmsSettings.model_validate({"key": KEY} | wrong)
