"""Asks a time stamping authority for a stamp, and takes only what verifies.  RFC 3161.

https://www.rfc-editor.org/rfc/rfc3161. Judged is the time of the stamp: one that was right stays right after the
authority's certificate has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cryptography.x509 import Certificate, load_pem_x509_certificates
from rfc3161_client import (
    HashAlgorithm,
    PKIStatus,
    TimestampRequestBuilder,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from ingest.schema.errors import ConfigError
from storage.ledger.cosigning import Declined, Outcome
from storage.ledger.posting import Post

_QUERY = "application/timestamp-query"
_OK = 200


def read_certificates(file: Path, name: str) -> list[Certificate]:
    """The certificates that an authority is believed by.

    Raises:
        ConfigError: The file can't be read, or has none.
    """
    try:
        return load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else str(exc)
        raise ConfigError(
            f"reading the certificates of the authority {name}: {reason}",
            where=str(file),
            mend=f"set ledger.authorities.{name}.ca_file to a PEM file with its root certificate",
        ) from exc


class AuthorityClient:
    """An authority that we ask.

    Args:
        name: Ours for it; names the stored reply.
        url: Where queries are posted.
        certificates: Its root, and those between.
        post: The way to it.
    """

    def __init__(self, name: str, url: str, certificates: Sequence[Certificate], post: Post) -> None:
        self.name = name
        self._url = url
        self._certificates = list(certificates)
        self._post = post

    async def stamp(self, data: bytes) -> bytes | Declined:
        """The reply (DER) of the authority over `data`, verified."""
        request = (
            TimestampRequestBuilder()
            .data(data)
            .hash_algorithm(HashAlgorithm.SHA256)
            .nonce(nonce=True)
            .cert_request(cert_request=True)
            .build()
        )
        try:
            reply = await self._post(self._url, request.as_bytes(), _QUERY)
        except OSError as exc:
            return Declined(Outcome.AWAY, str(exc))
        if reply.status != _OK:
            return Declined(Outcome.AWAY, f"HTTP {reply.status}")
        try:
            response = decode_timestamp_response(reply.body)
            if response.status != PKIStatus.GRANTED:
                return Declined(Outcome.REFUSED, f"it answered with status {response.status}")
            verifier = VerifierBuilder(roots=list(self._certificates), nonce=request.nonce).build()
            verifier.verify_message(response, data)
        except (ValueError, VerificationError) as exc:
            return Declined(Outcome.BROKEN, f"its stamp does not verify: {exc}")
        return reply.body
