"""What `skytrail init` writes: `.env` with generated passwords for docker-compose.yml, and a commented `skytrail.toml`.

Generating is pure but for the randomness of the secrets; `write` puts the files down. Names in `.env` that begin with
`SKYTRAIL_` are settings, so the file can also be sourced by a shell whose `skytrail` is to use the same engines.
"""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import os
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ingest.schema.errors import ConfigError
from skytrail.settings_template import settings_template

PASSWORD_BYTES: Final = 24
CERTIFICATE_DAYS: Final = 825
ENVIRONMENT_FILE: Final = ".env"
SETTINGS_FILE: Final = "skytrail.toml"
DUTIES: Final = ("BOOTSTRAP", "INDEXER", "ALERTER", "READER", "ANALYST", "RETENTION", "ERASER", "AUDITOR")
_WEBHOOK_HOSTS: Final = ("localhost", "127.0.0.1", "kubernetes-webhook")

_ENVIRONMENT: Final = """\
# Made by `skytrail init` for docker-compose.yml. These are secrets: mode 0600, and never into version control.
# The engines take passwords over when they start for the first time: a new file needs new volumes
# (docker compose --profile '*' down --volumes), or the passwords changed in Elasticsearch by hand.

# Superuser of Elasticsearch: used by the service `setup` and by people, by no role.
ELASTIC_PASSWORD={elastic}

# One Elasticsearch identity per duty.
{duties}

# Kibana's own user, and the key of what it stores.
KIBANA_PASSWORD={kibana}
KIBANA_ENCRYPTION_KEY={kibana_key}

KAFKA_CLUSTER_ID={cluster}

# The audit webhook: `<source id> <token>` and the certificate that the API server's kubeconfig has to trust.
WEBHOOK_TOKEN="kubernetes {token}"
WEBHOOK_TLS_CERTIFICATE="{certificate}"
WEBHOOK_TLS_KEY="{key}"

# Ports on 127.0.0.1 and memory of the engines, where the defaults do not fit.
# KAFKA_PORT=9092
# ELASTICSEARCH_PORT=9200
# KIBANA_PORT=5601
# WEBHOOK_PORT=9443
# KAFKA_HEAP=512m
# ELASTICSEARCH_HEAP=1g
"""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one file.

    Attributes:
        state: `written`; or `kept`, because it was there and force was not given.
    """

    path: Path
    state: Literal["written", "kept"]


def environment(now: dt.datetime, hosts: Sequence[str] = ()) -> str:
    """The text of `.env`: every call makes new secrets.

    Args:
        now: Begin of the certificate's validity.
        hosts: Names and addresses under which API servers reach the webhook, besides this machine's own.

    Raises:
        ConfigError: A host is no name for a certificate.
    """
    certificate, key = webhook_certificate(now, hosts)
    duties = "\n".join(f"SKYTRAIL_ELASTICSEARCH__{duty}__PASSWORD={_password()}" for duty in DUTIES)
    return _ENVIRONMENT.format(
        elastic=_password(),
        duties=duties,
        kibana=_password(),
        kibana_key=_password(),
        cluster=base64.urlsafe_b64encode(uuid.UUID(bytes=secrets.token_bytes(16), version=4).bytes)
        .decode()
        .rstrip("="),
        token=_password(),
        certificate=certificate.replace("\n", "\\n"),
        key=key.replace("\n", "\\n"),
    )


def webhook_certificate(now: dt.datetime, hosts: Sequence[str] = ()) -> tuple[str, str]:
    """A self-signed certificate for the webhook and its private key, both as PEM.

    Raises:
        ConfigError: A host is no name for a certificate.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "skytrail audit webhook")])
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))  # clocks of API servers differ
        .not_valid_after(now + dt.timedelta(days=CERTIFICATE_DAYS))
        .add_extension(
            x509.SubjectAlternativeName([_alternative(h) for h in (*_WEBHOOK_HOSTS, *hosts)]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


def write(directory: Path, *, now: dt.datetime, hosts: Sequence[str] = (), force: bool = False) -> tuple[Written, ...]:
    """Put `.env` (mode 0600) and `skytrail.toml` into a directory; what is there already is kept unless forced.

    Raises:
        ConfigError: The directory can't be written, or a host is no name for a certificate.
    """
    texts = {ENVIRONMENT_FILE: (environment(now, hosts), 0o600), SETTINGS_FILE: (new_settings(), 0o644)}
    return tuple(_put(directory / name, text, mode, force=force) for name, (text, mode) in texts.items())


def new_settings() -> str:
    """The text of `skytrail.toml` for a new installation: the defaults, and its archive is encrypted from the start."""
    return settings_template().replace('# provider = "none"\n', 'provider = "file"\n', 1)


def _put(path: Path, text: str, mode: int, *, force: bool) -> Written:
    """Write a file whole or not at all; its mode is right from the first byte on."""
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            if force:
                beside.replace(path)
            else:
                path.hardlink_to(beside)  # unlike a rename it fails when the file is there
        except FileExistsError:
            return Written(path, "kept")
        finally:
            beside.unlink(missing_ok=True)
    except OSError as exc:
        raise ConfigError(
            f"writing {path.name}: {exc.strerror}", where=str(path), mend="choose a writable directory"
        ) from exc
    return Written(path, "written")


def _password() -> str:
    return secrets.token_urlsafe(PASSWORD_BYTES)


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        try:
            return x509.DNSName(host)
        except ValueError as exc:
            raise ConfigError(
                f"making the webhook's certificate: {host!r} is neither an address nor a name",
                mend="name hosts in ASCII, without scheme and port",
            ) from exc
