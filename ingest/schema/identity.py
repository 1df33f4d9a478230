"""Who a record is: its leaf, its uid and the document id derived from it.

Leaf = RFC 6962 §2.1 leaf hash of the exact received bytes. The document id must be the same for every delivery of the
same record and must not be choosable by the watched party alone (a format's `identify` sees to that).
"""

from __future__ import annotations

import base64
import hashlib


def leaf_hash(record: bytes) -> bytes:
    """SHA-256(0x00 ‖ record), 32 bytes."""
    return hashlib.sha256(b"\x00" + record).digest()


def uid_of(own_id: str | None, record: bytes, repeat: int) -> str:
    """The uid of a record: its format's own id, else the leaf and its ordinal among identical bytes of one body."""
    if own_id:
        return own_id
    return f"leaf:{leaf_hash(record).hex()}:{repeat}"


def document_id(format_name: str, namespace: str, uid: str) -> str:
    """base64url(SHA-256(format ‖ 0 ‖ namespace ‖ 0 ‖ uid))[:22], the `_id` of the event's document."""
    named = f"{format_name}\x00{namespace}\x00{uid}".encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(hashlib.sha256(named).digest())[:22].decode()


def equivocating_id(format_name: str, namespace: str, uid: str, leaf: bytes) -> str:
    """Id of a second, different version of a record that came under an id already taken: nothing is hidden."""
    return document_id(format_name, namespace, f"{uid}\x00{leaf.hex()}")
