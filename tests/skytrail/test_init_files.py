from __future__ import annotations

import datetime as dt
import os
import ssl
import tomllib
from pathlib import Path
from typing import Annotated

import pytest
import yaml
from cryptography import x509
from pydantic import TypeAdapter

from ingest.schema.errors import ConfigError
from ingest.transports.registry import all_transports, as_collector
from skytrail.init_files import ENVIRONMENT_FILE, SETTINGS_FILE, environment, new_settings, webhook_certificate, write
from skytrail.reports.settings import DeliverySettings
from skytrail.settings import Settings
from skytrail.settings_template import settings_template
from storage.datakeys.registry import provider_tables

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
PROJECT = Path(__file__).parents[2]


def _variables(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    pairs = (line.split("=", 1) for line in lines)
    return {name: value.strip('"').replace("\\n", "\n") for name, value in pairs}


def test_every_call_makes_other_secrets() -> None:
    one, other = _variables(environment(NOW)), _variables(environment(NOW))
    assert one.keys() == other.keys()
    assert all(one[name] != other[name] for name in one)


def test_passwords_have_192_bits_and_differ_from_each_other() -> None:
    found = [value for name, value in _variables(environment(NOW)).items() if "PASSWORD" in name]
    assert len(found) == len(set(found)) == 10
    assert all(len(value) == 32 for value in found)


def test_the_file_of_secrets_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write(tmp_path, now=NOW)
    finally:
        os.umask(before)
    assert (tmp_path / ENVIRONMENT_FILE).stat().st_mode & 0o777 == 0o600


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / ENVIRONMENT_FILE).write_text("ELASTIC_PASSWORD=mine\n")
    states = {written.path.name: written.state for written in write(tmp_path, now=NOW)}
    assert states == {ENVIRONMENT_FILE: "kept", SETTINGS_FILE: "written"}
    assert (tmp_path / ENVIRONMENT_FILE).read_text() == "ELASTIC_PASSWORD=mine\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [ENVIRONMENT_FILE, SETTINGS_FILE]


def test_force_replaces_both(tmp_path: Path) -> None:
    write(tmp_path, now=NOW)
    before = (tmp_path / ENVIRONMENT_FILE).read_text()
    assert [written.state for written in write(tmp_path, now=NOW, force=True)] == ["written", "written"]
    assert (tmp_path / ENVIRONMENT_FILE).read_text() != before
    assert (tmp_path / ENVIRONMENT_FILE).stat().st_mode & 0o777 == 0o600


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        write(tmp_path / "nowhere", now=NOW)
    assert "nowhere" in caught.value.where
    assert caught.value.mend


def test_the_settings_file_is_a_valid_one_that_changes_nothing() -> None:
    assert tomllib.loads(settings_template()).keys() <= Settings.model_fields.keys()
    assert Settings(**tomllib.loads(settings_template())) == Settings()


def test_a_new_installation_encrypts_its_archive_and_has_defaults_otherwise() -> None:
    made = Settings(**tomllib.loads(new_settings()))
    assert made.archive.encryption.provider == "file"
    default = Settings()
    assert made.model_copy(update={"archive": default.archive}) == default
    assert made.archive.model_copy(update={"encryption": default.archive.encryption}) == default.archive


def test_every_default_can_be_uncommented_as_it_stands() -> None:
    lines = settings_template().splitlines()
    live = [line.removeprefix("# ") for line in lines if not line.startswith("# ") or _is_code(line)]
    values = tomllib.loads("\n".join(live))
    collector = values.pop("collectors")["NAME"]
    stores = {"s3": "compliance", "azure": "locked", "gcs": "locked"}  # tables that are not there by default
    assert {name: values["archive"].pop(name)["lock"] for name in stores} == stores
    for name in provider_tables():
        assert values["archive"]["encryption"].pop(name)["endpoint"] == ""  # nor are these
    for by_name in ("witnesses", "authorities"):
        values["ledger"].pop(by_name)  # tables of the user's choice: what is in them has no default
    delivery = values["reports"].pop("deliveries")["NAME"]
    kind = {"kind": "retention", "directory": "reports"}
    assert {name: delivery.pop(name)["lock"] for name in stores} == stores
    assert DeliverySettings(**{**kind, **delivery}) == DeliverySettings(**kind)
    assert Settings(**values) == Settings()
    own = {name: collector.pop(name) for name in all_transports()}
    plain = {"transport": "files", "format": "aws.cloudtrail"}
    assert as_collector({**collector, **plain, "files": own["files"]}) == as_collector(plain)
    for name, model in all_transports().items():
        for setting, value in own[name].items():
            field = model.model_fields[setting]
            adapter = TypeAdapter(Annotated[(field.annotation, *field.metadata, field)])  # type: ignore[misc]
            assert adapter.validate_python(value) == field.default, f"{name}.{setting}"


def test_every_setting_is_in_the_settings_file() -> None:
    text = settings_template()
    for table, field in Settings.model_fields.items():
        inner = field.annotation
        names = getattr(inner, "model_fields", {table: field})
        assert all(name in text for name in names), table


def test_the_certificate_names_the_hosts_and_can_be_loaded(tmp_path: Path) -> None:
    certificate, key = webhook_certificate(NOW, ["audit.example.org", "192.0.2.7"])
    (tmp_path / "both.pem").write_text(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    parsed = x509.load_pem_x509_certificate(certificate.encode())
    names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "audit.example.org"} <= set(names.get_values_for_type(x509.DNSName))
    assert {"127.0.0.1", "192.0.2.7"} <= {str(a) for a in names.get_values_for_type(x509.IPAddress)}
    assert parsed.not_valid_before_utc < NOW < parsed.not_valid_after_utc


def test_a_host_that_is_no_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="neither an address nor a name"):
        environment(NOW, ["süd.example"])


def test_every_variable_that_compose_demands_is_generated() -> None:
    given = _variables(environment(NOW))
    text = (PROJECT / "docker-compose.yml").read_text()
    demanded = {part.split(":?", 1)[0] for part in text.split("${")[1:] if ":?" in part.split("}", 1)[0]}
    secrets = {secret["environment"] for secret in yaml.safe_load(text)["secrets"].values()}
    assert demanded
    assert demanded | secrets <= given.keys()


def test_compose_knows_no_default_for_a_secret_and_publishes_on_loopback_only() -> None:
    compose = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
    for name, service in compose["services"].items():
        for variable, value in (service.get("environment") or {}).items():
            if variable.endswith(("PASSWORD", "KEY")):
                assert str(value).endswith(":?run skytrail init}"), (name, variable)
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        assert "ulimits" not in service, name


def test_in_containers_the_role_rotate_alone_may_drop_indices_and_it_can_not_read_what_is_sealed() -> None:
    services = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]
    secret = "skytrail_elasticsearch__retention__password"
    assert {name for name, one in services.items() if secret in one.get("secrets", ())} == {"setup", "rotate"}
    mounts = {name: [str(each) for each in one.get("volumes", ())] for name, one in services.items()}
    assert not any("data-keys" in each for name in ("rotate", "index") for each in mounts[name])
    assert {name for name in mounts if any(each.startswith("ledger-keys:") for each in mounts[name])} == {
        "seal",
        "rotate",
    }
    assert mounts["index"] == ["archive:/var/lib/skytrail/archive:ro"]


def test_secret_files_bear_the_names_of_settings() -> None:
    compose = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
    ours = [name for name in compose["secrets"] if name.startswith("skytrail_")]
    assert ours
    for name in ours:
        table, identity, field = name.removeprefix("skytrail_").split("__")
        login = getattr(getattr(Settings(), table), identity)
        assert hasattr(login, field)


def _is_code(line: str) -> bool:
    text = line.removeprefix("# ")
    name = text.partition(" = ")[0]
    return text.startswith("[") or (" = " in text and name.isidentifier())
