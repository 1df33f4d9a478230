"""Proves the endpoint for the audit webhook of an API server, from this machine. Nothing is changed.

Whether the API server reaches it, and with which flags and policy it runs, can be asked of nobody here: that events
arrive shows it. EKS, AKS and GKE come through kinesis, event_hubs and pubsub, which have proofs of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Iterable

from cryptography import x509

from ingest.schema.errors import ConfigError
from ingest.transports.endpoint.settings import EndpointSettings
from skytrail.diagnosis.check import Check
from skytrail.onboarding.proving import LOCAL_WITHIN_S, Asked, Plan, ProofStep

_SOON = dt.timedelta(days=30)
_ANSWER_S = 10.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to ask what listens everywhere


@contextlib.asynccontextmanager
async def open_plan(asked: Asked) -> AsyncIterator[Plan]:
    """The steps for a collector of the transport kubernetes_webhook."""
    own = asked.settings.own
    assert isinstance(own, EndpointSettings)

    async def certificate() -> Iterable[Check]:
        return [_certificate(own, asked.now())]

    async def endpoint() -> Iterable[Check]:
        return [await _endpoint(own, asked.name)]

    steps = [ProofStep("certificate", certificate), ProofStep("endpoint", endpoint, ("certificate",))]
    yield Plan(steps, LOCAL_WITHIN_S)


def _certificate(settings: EndpointSettings, now: dt.datetime) -> Check:
    name = "certificate"
    if settings.certificate_file is None:
        return Check(name, "ok", "none: plain HTTP on this machine alone")
    try:
        found = x509.load_pem_x509_certificate(settings.certificate_file.read_bytes())
    except (OSError, ValueError) as exc:
        where = f"certificate_file {settings.certificate_file}"
        raise ConfigError(f"reading our certificate: {exc}", where=where, mend="give a PEM file") from exc
    ends = found.not_valid_after_utc
    mend = "renew it and start the collector again"
    if not found.not_valid_before_utc <= now < ends:
        return Check(name, "fail", f"it is valid from {found.not_valid_before_utc:%F} to {ends:%F}", mend)
    names = ", ".join(_names(found))
    if not names:
        told = "it has no subject alternative name, so API servers refuse it"
        return Check(name, "fail", told, "issue one with the name or address that webhook.kubeconfig has")
    if ends - now < _SOON:
        return Check(name, "warn", f"it ends on {ends:%F}", mend)
    return Check(name, "ok", f"for {names}, until {ends:%F}")


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        listed = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(each.value) for each in listed]


async def _endpoint(settings: EndpointSettings, collector: str) -> Check:
    """Ask whether something listens and is ours."""
    host = _EVERYWHERE.get(settings.host, settings.host)
    where = f"{host}:{settings.port}"
    try:
        async with asyncio.timeout(_ANSWER_S):
            answer = await _healthz(host, settings)
    except ssl.SSLError as exc:
        mend = "does something else listen on this port?"
        return Check("endpoint", "fail", f"{where} does not speak TLS: {exc.reason or exc}", mend)
    except (OSError, TimeoutError) as exc:
        mend = f"start it: `skytrail collect {collector}`"
        return Check("endpoint", "fail", f"nothing answers at {where}: {exc or 'no answer in time'}", mend)
    if settings.client_ca_file is not None and not answer:
        return Check("endpoint", "ok", f"{where} listens and asks for a client certificate, as it should")
    if not answer.startswith(b"HTTP/1.1 200"):
        mend = "does something else listen on this port?"
        return Check("endpoint", "fail", f"what answers at {where} is not this collector", mend)
    return Check("endpoint", "ok", f"{where} answers; whether API servers reach it shows when events arrive")


async def _healthz(host: str, settings: EndpointSettings) -> bytes:
    """The head of its answer; empty if it ends the connection."""
    context = None
    if settings.certificate_file is not None:
        # What is proven is that we listen; whether API servers trust the certificate is theirs to tell.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(host, settings.port, ssl=context)
    try:
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: check\r\nConnection: close\r\n\r\n")
        return await reader.read(64)
    except (ConnectionError, ssl.SSLError):
        if settings.client_ca_file is None:
            raise
        return b""
    finally:
        writer.close()
