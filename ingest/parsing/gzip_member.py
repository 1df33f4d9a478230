"""Inflating a collected body: exactly one gzip member, bounded.

Readers that take every member and checkers that hash only the first disagree about what a file says, and bytes can be
smuggled in between. So a body is one member and nothing after it, or it is refused whole.

Format: RFC 1952 (a member ends with the CRC-32 and the length of what it inflates to; zlib checks both).
"""

from __future__ import annotations

import zlib

from ingest.schema.errors import MalformedBody

_MAGIC = b"\x1f\x8b"
_GZIP_ONLY = 16 + zlib.MAX_WBITS
_STEP = 64 * 1024  # compressed bytes a step: deflate makes at most 1032 times as much of them


def inflate(body: bytes, limit: int) -> bytes:
    """The inflated body; a body that is not gzip comes back as it is.

    Args:
        body: As collected.
        limit: The most bytes the result may have. Inflating stops there, so a bomb costs no more memory than that.

    Raises:
        MalformedBody: Truncated, damaged, followed by other bytes, gzip within gzip, or larger than `limit`.
    """
    if not body.startswith(_MAGIC):
        if len(body) > limit:
            raise _too_large(limit)
        return body
    member = zlib.decompressobj(_GZIP_ONLY)
    inflated = bytearray()
    view = memoryview(body)
    for start in range(0, len(body), _STEP):
        if member.eof:
            raise _trailing(len(body) - start)
        try:
            inflated += member.decompress(view[start : start + _STEP], limit - len(inflated) + 1)
        except zlib.error as exc:
            raise MalformedBody(f"inflating gzip: {exc}", where=f"compressed byte {start} or soon after") from exc
        if len(inflated) > limit:
            raise _too_large(limit)
        if member.unused_data:
            raise _trailing(max(0, len(body) - start - _STEP) + len(member.unused_data))
    if not member.eof:
        raise MalformedBody(
            f"inflating gzip: the member is truncated after {len(inflated)} inflated bytes",
            where=f"compressed byte {len(body)}",
            mend="fetch the object again; if it stays so, ask the source what happened to it",
        )
    if inflated.startswith(_MAGIC):
        raise MalformedBody(
            "inflating gzip: another gzip is in it",
            mend="let only one on the way compress: Firehose packs what CloudWatch Logs has packed already",
        )
    return bytes(inflated)


def _too_large(limit: int) -> MalformedBody:
    return MalformedBody(
        f"inflating body: more than {limit} bytes",
        mend="if this source really writes such objects, raise the limit; else treat it as an attack",
    )


def _trailing(count: int) -> MalformedBody:
    return MalformedBody(
        f"inflating gzip: {count} bytes follow the first member",
        mend="find out who appended to the object: what follows is hidden from checks that read one member",
    )
