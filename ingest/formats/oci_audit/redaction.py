"""Taking secrets out of a record before anything of it reaches a document or an alert. The archive keeps the bytes.

Replaced by `<redacted>`: headers that carry credentials (Oracle masks some of them, not all), members that are secrets
by their name, JSON web tokens and PEM keys wherever they stand.
"""

from __future__ import annotations

from ingest.parsing.secret_members import SecretMembers

_SECRETS = SecretMembers(
    """
    authorization proxy-authorization cookie set-cookie opc-obo-token x-auth-token opc-principal password
    admin_?password initial_?password private_?key access_?token refresh_?token auth_?token security_?token
    client_?secret secret_?key secret_?content shared_?secret wallet_?password passphrase
    """,
    marks='authorization" cookie" token" principal" password" passphrase" privatekey secret" secretkey secretcontent',
)


def redact(record: bytes) -> bytes:
    """The record without secrets; the same object when there is none. Never raises, whatever the bytes."""
    return _SECRETS.redact(record)
