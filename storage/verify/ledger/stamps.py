"""Time stamps of RFC 3161 over the bytes of a checkpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from cryptography.x509 import Certificate
from rfc3161_client import PKIStatus, TimeStampResponse, VerificationError, VerifierBuilder, decode_timestamp_response

from storage.verify.findings import Kind

_HASHES = {"2.16.840.1.101.3.4.2.1": "sha256", "2.16.840.1.101.3.4.2.2": "sha384", "2.16.840.1.101.3.4.2.3": "sha512"}


def stamp_time(
    reply: bytes, stamped: bytes, authorities: Sequence[Certificate]
) -> tuple[float | None, Kind | None, str]:
    """When an authority saw some bytes.

    Args:
        reply: DER of a TimeStampResp.
        stamped: The bytes.
        authorities: Root certificates that are believed; with none the time is not believed, only compared.

    Returns:
        POSIX seconds (None where the stamp is not of these bytes), and what is wrong, if anything.
    """
    try:
        response = decode_timestamp_response(reply)
    except ValueError as exc:
        return None, Kind.ALTERED, f"no time stamp: {exc}"
    if response.status not in (PKIStatus.GRANTED, PKIStatus.GRANTED_WITH_MODS):
        return None, Kind.SIG, "the authority refused to stamp"
    try:
        imprint = response.tst_info.message_imprint
        named = _HASHES.get(imprint.hash_algorithm.dotted_string)
        if named is None or hashlib.new(named, stamped).digest() != imprint.message:
            return None, Kind.ALTERED, "the time stamp is of other bytes"
        time = response.tst_info.gen_time.timestamp()
        if not authorities:
            return time, Kind.UNCHECKED, "no root certificate of a time stamping authority is pinned"
        return _believed(response, stamped, authorities, time)
    except ValueError as exc:
        return None, Kind.ALTERED, f"no time stamp: {exc}"


def _believed(
    response: TimeStampResponse, stamped: bytes, authorities: Sequence[Certificate], time: float
) -> tuple[float | None, Kind | None, str]:
    try:
        VerifierBuilder(roots=list(authorities)).build().verify_message(response, stamped)
    except VerificationError as exc:
        return None, Kind.SIG, f"the time stamp is not of a believed authority: {exc}"
    return time, None, ""
