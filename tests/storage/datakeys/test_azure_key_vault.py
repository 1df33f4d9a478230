"""The real clients of Azure against a vault of ours: authentication, faults, states of keys that must not wrap."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from ingest.schema.errors import ConfigError, StoreUnavailable
from storage.datakeys.provider import Wrapped
from storage.datakeys.providers.azure_key_vault import AzureKeyVaultProvider
from storage.datakeys.providers.azure_key_vault_settings import AzureKeyVaultSettings
from tests.doubles.key_vault import KEY, VAULT, KeyVault, key_vault, refused, throttled
from tests.doubles.serving import CUT, Answer

DATA_KEY = bytes(range(32))
CONTEXT = {"namespace": "acme", "id": "2026-03-00000000"}


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyVault]:
    with key_vault(monkeypatch) as double:
        yield double


def opened(vault: KeyVault, **changes: object) -> AzureKeyVaultProvider:
    told = {"key": KEY, "endpoint": vault.address, "request_timeout_s": 2.0}
    return AzureKeyVaultProvider(AzureKeyVaultSettings.model_validate(told | changes))


def test_the_vault_asks_for_a_token_and_gets_it_for_itself_alone(vault: KeyVault) -> None:
    provider = opened(vault)
    wrapped = provider.wrap(DATA_KEY, CONTEXT)
    assert provider.unwrap(wrapped, CONTEXT) == DATA_KEY
    assert vault.tokens >= 1
    version = vault.versions[0].id
    assert wrapped.kek == f"{KEY}/{version}"
    assert any(asked.startswith(f"POST /keys/archive/{version}/unwrapkey") for asked in vault.asked)


def test_a_challenge_for_another_service_gets_no_token(vault: KeyVault) -> None:
    vault.resource = "https://evil.example"
    with pytest.raises(ConfigError, match="does not match the requested domain"):
        opened(vault).current()
    assert vault.tokens == 0


def test_a_machine_without_an_identity_is_told_so(vault: KeyVault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_HEADER", "wrong")
    with pytest.raises(ConfigError) as caught:
        opened(vault).current()
    assert "managed or workload identity" in caught.value.mend


def test_what_the_vault_can_not_unwrap_is_not_taken_for_wrapped(vault: KeyVault) -> None:
    """The public half came from elsewhere: the vault's own can't open what it wrapped."""
    provider = opened(vault)
    other = KeyVault().rotate().bundle(KEY)["key"]
    vault.versions[0].told = {"n": other["n"]}
    with pytest.raises(ConfigError, match="400 BadParameter"):
        provider.wrap(DATA_KEY, CONTEXT)


def test_a_vault_that_unwraps_something_else_is_not_believed(vault: KeyVault, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = opened(vault)
    monkeypatch.setattr(vault, "_unwrap", lambda *_: Answer(200, {"kid": KEY, "value": "AAAA"}))
    with pytest.raises(ConfigError, match="another name"):
        provider.wrap(DATA_KEY, CONTEXT)


def test_where_the_public_half_can_not_be_had_the_vault_wraps(vault: KeyVault) -> None:
    provider = opened(vault)
    provider.current()
    vault.faults = [None, *[Answer(503)] * 4]
    wrapped = provider.wrap(DATA_KEY, CONTEXT)
    assert any("/wrapkey" in asked for asked in vault.asked)
    assert provider.unwrap(wrapped, CONTEXT) == DATA_KEY


def test_who_reads_needs_the_right_to_unwrap_and_no_other(vault: KeyVault) -> None:
    wrapped = opened(vault).wrap(DATA_KEY, CONTEXT)
    vault.granted = {"unwrapKey"}
    assert opened(vault).unwrap(wrapped, CONTEXT) == DATA_KEY
    with pytest.raises(ConfigError, match="ForbiddenByRbac") as caught:
        opened(vault).wrap(DATA_KEY, CONTEXT)
    assert "Key Vault Crypto Service Encryption User" in caught.value.mend


@pytest.mark.parametrize(
    "fault",
    [throttled(), throttled(**{"Retry-After": "1"}), CUT, Answer(500), Answer(503)],
    ids=["429", "429 with a time", "cut", "500", "503"],
)
@pytest.mark.parametrize("at", range(4))
def test_a_fault_that_passes_is_not_noticed(vault: KeyVault, fault: Answer, at: int) -> None:
    provider = opened(vault)
    provider.current()
    vault.faults = [*[None] * at, fault]
    wrapped = provider.wrap(DATA_KEY, CONTEXT)
    assert provider.unwrap(wrapped, CONTEXT) == DATA_KEY
    assert vault.faults == []


@pytest.mark.parametrize(
    ("fault", "mend"),
    [(throttled(), "throttled"), (CUT, "network"), (Answer(503), "network")],
    ids=["429", "cut", "503"],
)
def test_a_fault_that_stays_is_one_to_ask_again_after(vault: KeyVault, fault: Answer, mend: str) -> None:
    provider = opened(vault)
    wrapped = provider.wrap(DATA_KEY, CONTEXT)
    vault.always, vault.asked = fault, []
    with pytest.raises(StoreUnavailable) as caught:
        provider.unwrap(wrapped, CONTEXT)
    assert mend in caught.value.mend
    assert caught.value.where == wrapped.kek
    assert len(vault.asked) >= 4
    vault.always = None
    assert provider.unwrap(wrapped, CONTEXT) == DATA_KEY


@pytest.mark.parametrize("body", [b"<html>", {}, b"[]", {"key": {}}], ids=["no JSON", "empty", "list", "no key"])
def test_what_no_vault_answers_is_told_and_not_taken_for_an_answer(vault: KeyVault, body: object) -> None:
    provider = opened(vault)
    wrapped = provider.wrap(DATA_KEY, CONTEXT)
    vault.always = Answer(200, body)
    for call in (provider.ready, lambda: provider.unwrap(wrapped, CONTEXT)):
        with pytest.raises((StoreUnavailable, ConfigError)) as caught:
            call()
        assert caught.value.mend


def test_a_vault_that_does_not_answer_in_time_is_one_to_ask_again(vault: KeyVault) -> None:
    provider = opened(vault, request_timeout_s=0.2)
    wrapped = provider.wrap(DATA_KEY, CONTEXT)
    vault.always = Answer(200, late_s=0.5)
    with pytest.raises(StoreUnavailable, match=r"(?i)timed out"):
        provider.unwrap(wrapped, CONTEXT)


def test_a_vault_that_is_not_there_is_one_to_ask_again(vault: KeyVault) -> None:
    with pytest.raises(StoreUnavailable, match="read the wrapping key"):
        opened(vault, endpoint="http://127.0.0.1:1").current()


@pytest.mark.parametrize(
    ("inner", "mend"),
    [
        ("ForbiddenByRbac", "Crypto Service Encryption User"),
        ("AccessDenied", "Crypto Service Encryption User"),
        ("KeyDisabled", "--enabled true"),
        ("ForbiddenByFirewall", "firewall"),
        ("ForbiddenByConnection", "private endpoint"),
        ("", "Crypto Service Encryption User"),
    ],
)
def test_a_refusal_says_what_to_do(vault: KeyVault, inner: str, mend: str) -> None:
    provider = opened(vault)
    provider.current()
    vault.always = refused(inner)
    with pytest.raises(ConfigError) as caught:
        provider.wrap(DATA_KEY, CONTEXT)
    assert mend in caught.value.mend


def test_a_version_that_was_disabled_opens_nothing_until_it_is_enabled(vault: KeyVault) -> None:
    provider = opened(vault)
    wrapped = provider.wrap(DATA_KEY, CONTEXT)
    vault.rotate()
    vault.versions[0].enabled = False
    with pytest.raises(ConfigError, match="KeyDisabled") as caught:
        provider.unwrap(wrapped, CONTEXT)
    assert "--enabled true" in caught.value.mend
    vault.versions[0].enabled = True
    assert provider.unwrap(wrapped, CONTEXT) == DATA_KEY


def test_a_deleted_key_is_told_with_how_to_recover_it(vault: KeyVault) -> None:
    provider = opened(vault)
    wrapped = provider.wrap(DATA_KEY, CONTEXT)
    vault.deleted = True
    for call in (lambda: provider.unwrap(wrapped, CONTEXT), lambda: provider.wrap(DATA_KEY, CONTEXT)):
        with pytest.raises(ConfigError, match="404 KeyNotFound") as caught:
            call()
        assert "az keyvault key recover" in caught.value.mend


HOUR = 3600


@pytest.mark.parametrize(
    ("told", "attributes", "enabled", "match"),
    [
        ({"kty": "EC", "crv": "P-256"}, {}, True, "no RSA key"),
        ({"key_ops": ["sign", "verify"]}, {}, True, "may not wrap and unwrap"),
        ({"key_ops": ["wrapKey"]}, {}, True, "may not wrap and unwrap"),
        ({"kid": f"{VAULT}/keys/other/{'0' * 32}"}, {}, True, "another key"),
        ({}, {}, False, "disabled"),
        ({}, {"nbf": int(time.time()) + HOUR}, True, "not valid before"),
        ({}, {"exp": int(time.time()) - HOUR}, True, "expired"),
        ({}, {"exportable": True}, True, "can be exported"),
        ({}, {"recoveryLevel": "Recoverable+Purgeable"}, True, "can purge it at once"),
        ({}, {"recoveryLevel": "CustomizedRecoverable+Purgeable"}, True, "can purge it at once"),
        ({}, {"recoveryLevel": None}, True, "can purge it at once"),
    ],
)
def test_a_key_in_an_unsafe_state_wraps_nothing(
    vault: KeyVault, told: dict[str, object], attributes: dict[str, object], match: str, *, enabled: bool
) -> None:
    version = vault.versions[0]
    version.told, version.attributes, version.enabled = told, attributes, enabled
    for call in (lambda: opened(vault).current(), lambda: opened(vault).wrap(DATA_KEY, CONTEXT)):
        with pytest.raises(ConfigError, match=match) as caught:
            call()
        assert caught.value.mend


def test_a_version_in_the_settings_wraps_in_spite_of_a_newer_one(vault: KeyVault) -> None:
    first = f"{KEY}/{vault.versions[0].id}"
    vault.rotate()
    assert opened(vault, key=first).wrap(DATA_KEY, CONTEXT).kek == first
    assert opened(vault).wrap(DATA_KEY, CONTEXT).kek == f"{KEY}/{vault.versions[1].id}"


def test_a_key_that_the_settings_do_not_name_is_not_asked(vault: KeyVault) -> None:
    wrapped = opened(vault).wrap(DATA_KEY, CONTEXT)
    vault.asked = []
    elsewhere = {"key": f"{VAULT}/keys/next"}
    with pytest.raises(ConfigError, match="do not name") as caught:
        opened(vault, **elsewhere).unwrap(wrapped, CONTEXT)
    assert "former_keys" in caught.value.mend
    foreign = wrapped.kek.replace("acme", "evil")
    for kek in (foreign, f"{wrapped.kek}/../x", KEY, ""):
        with pytest.raises(ConfigError, match="do not name"):
            opened(vault).unwrap(Wrapped(kek, wrapped.body), CONTEXT)
    assert vault.asked == []
    assert opened(vault, **elsewhere, former_keys=(KEY,)).unwrap(wrapped, CONTEXT) == DATA_KEY


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": "http://acme.vault.azure.net/keys/archive"},
        {"key": "https://acme.vault.azure.net.evil.example/keys/archive"},
        {"key": "https://evil.example/keys/archive"},
        {"key": "https://acme.vault.azure.net/secrets/archive"},
        {"key": "https://acme.vault.azure.net/keys/archive/latest"},
        {"former_keys": ("https://evil.example/keys/archive",)},
        {"endpoint": "http://10.0.0.1:80"},
        {"endpoint": "http://127.0.0.1.evil.example:80"},
        {"endpoint": "http://localhost:80"},
        {"endpoint": "http://127.0.0.1:80/path"},
    ],
)
def test_settings_name_a_key_of_a_vault_and_no_server_beyond_loopback(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="should match pattern"):
        AzureKeyVaultSettings.model_validate({"key": KEY} | wrong)
