"""A time stamping authority of RFC 3161, written for these tests: its replies are DER put together by hand.

It proves that our side speaks the protocol and refuses what it must. That replies of others are understood is shown by
tests with OpenSSL as the authority.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from storage.ledger.posting import Reply

SHA256 = "2.16.840.1.101.3.4.2.1"
ECDSA_SHA256 = "1.2.840.10045.4.3.2"
SIGNED_DATA = "1.2.840.113549.1.7.2"
TST_INFO = "1.2.840.113549.1.9.16.1.4"
CONTENT_TYPE, MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
POLICY = "1.3.6.1.4.1.99999.1"
INTEGER, OCTETS, OBJECT, TIME, SEQUENCE, SET = 0x02, 0x04, 0x06, 0x18, 0x30, 0x31


def der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body)
    if size < 128:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def integer(value: int) -> bytes:
    return der(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    body = b""
    for number in [40 * first + second, *rest]:
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(number & 0x7F | 0x80)
        body += bytes(reversed(groups))
    return der(OBJECT, body)


def algorithm(dotted: str) -> bytes:
    return der(SEQUENCE, oid(dotted))


def read(body: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements that lie behind each other."""
    at = 0
    while at < len(body):
        size, start = body[at + 1], at + 2
        if size & 0x80:
            start += size & 0x7F
            size = int.from_bytes(body[at + 2 : start], "big")
        yield body[at], body[start : start + size]
        at = start + size


@dataclass
class Authority:
    """Answers as a `Post`.

    Attributes:
        now: Its clock.
        status: PKIStatus of its answers: 0 granted, 2 rejected.
        away: Whether it does not answer.
        wrong: What it does wrong: `imprint`, `nonce`, `signature` or nothing.
        asked: How often.
    """

    now: dt.datetime = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
    status: int = 0
    http_status: int = 200
    away: bool = False
    wrong: str = ""
    asked: int = 0
    _key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    _root_key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        self.root = self._certificate("Test root", self._root_key, authority=True)
        self._own = self._certificate("Test authority", self._key, authority=False)

    @property
    def root_pem(self) -> bytes:
        return self.root.public_bytes(serialization.Encoding.PEM)

    async def __call__(self, _url: str, body: bytes, content_type: str) -> Reply:
        self.asked += 1
        if self.away:
            raise OSError("nobody is there")
        assert content_type == "application/timestamp-query"
        return Reply(self.http_status, self.reply(body))

    def reply(self, query: bytes) -> bytes:
        """The TimeStampResp to a TimeStampReq."""
        if self.status:
            return der(SEQUENCE, der(SEQUENCE, integer(self.status)))
        [(_, request)] = read(query)
        (_, _), (_, imprint), (_, nonce), (_, certificate_wanted) = read(request)
        assert certificate_wanted != b"\0"
        (_, _), (_, digest) = read(imprint)
        assert len(digest) == 32
        info = self._info(digest, int.from_bytes(nonce, "big"))
        return der(SEQUENCE, der(SEQUENCE, integer(0)), self._signed(info))

    def _info(self, digest: bytes, nonce: int) -> bytes:
        if self.wrong == "imprint":
            digest = bytes(32)
        return der(
            SEQUENCE,
            integer(1),
            oid(POLICY),
            der(SEQUENCE, algorithm(SHA256), der(OCTETS, digest)),
            integer(self.asked),
            der(TIME, f"{self.now:%Y%m%d%H%M%S}Z".encode()),
            integer(nonce + (self.wrong == "nonce")),
        )

    def _signed(self, info: bytes) -> bytes:
        own = self._own.public_bytes(serialization.Encoding.DER)
        certificate_id = der(SEQUENCE, der(SEQUENCE, der(SEQUENCE, der(OCTETS, hashlib.sha256(own).digest()))))
        attributes = sorted(
            der(SEQUENCE, oid(name), der(SET, value))
            for name, value in (
                (CONTENT_TYPE, oid(TST_INFO)),
                (MESSAGE_DIGEST, der(OCTETS, hashlib.sha256(info).digest())),
                (SIGNING_CERTIFICATE_V2, certificate_id),
            )
        )
        key = self._root_key if self.wrong == "signature" else self._key
        signer = der(
            SEQUENCE,
            integer(1),
            der(SEQUENCE, self._own.issuer.public_bytes(), integer(self._own.serial_number)),
            algorithm(SHA256),
            der(0xA0, *attributes),
            algorithm(ECDSA_SHA256),
            der(OCTETS, key.sign(der(SET, *attributes), ec.ECDSA(hashes.SHA256()))),
        )
        signed = der(
            SEQUENCE,
            integer(3),
            der(SET, algorithm(SHA256)),
            der(SEQUENCE, oid(TST_INFO), der(0xA0, der(OCTETS, info))),
            der(0xA0, own),
            der(SET, signer),
        )
        return der(SEQUENCE, oid(SIGNED_DATA), der(0xA0, signed))

    def _certificate(self, name: str, key: ec.EllipticCurvePrivateKey, *, authority: bool) -> x509.Certificate:
        def named(common: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])

        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only",
             "decipher_only"),
            False,
        )  # fmt: skip
        builder = (
            x509.CertificateBuilder()
            .subject_name(named(name))
            .issuer_name(named("Test root"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - dt.timedelta(days=1))
            .not_valid_after(self.now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, **usage),
                critical=True,
            )
        )
        if not authority:
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        return builder.sign(self._root_key, hashes.SHA256())
