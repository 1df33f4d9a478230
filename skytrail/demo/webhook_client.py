"""Posts audit batches to the demo's webhook as an API server would: HTTPS, bearer token, again on 429."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ingest.schema.errors import SourceUnavailable

TRIES = 360  # of half a second and more: a loaded machine takes a minute to start a process
OK, BUSY = 200, 429


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to post, and how to be believed."""

    url: str
    token: str
    certificate: Path


def make_certificate(directory: Path, now: dt.datetime) -> tuple[Path, Path]:
    """A key and a self-signed certificate for 127.0.0.1, valid for a day; returns (certificate, key)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "skytrail demo")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = directory / "webhook.crt", directory / "webhook.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.touch(mode=0o600)
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


async def post_batches(endpoint: Endpoint, bodies: Sequence[bytes]) -> None:
    """Post every body until it is accepted.

    Raises:
        SourceUnavailable: The endpoint does not accept a body.
    """
    context = ssl.create_default_context(cafile=str(endpoint.certificate))
    headers = {"Authorization": f"Bearer {endpoint.token}", "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(ssl=context, limit=4)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        for body in bodies:
            await _post(session, endpoint.url, body)


async def _post(session: aiohttp.ClientSession, url: str, body: bytes) -> None:
    problem = ""
    for _ in range(TRIES):
        try:
            async with session.post(url, data=body) as answer:
                if answer.status == OK:
                    return
                problem = f"status {answer.status}"
                pause = float(answer.headers.get("Retry-After", "1")) if answer.status == BUSY else 1.0
        except aiohttp.ClientError as exc:
            problem, pause = repr(exc), 0.5
        await asyncio.sleep(pause)
    raise SourceUnavailable(f"posting an audit batch: {problem}", where=url)
