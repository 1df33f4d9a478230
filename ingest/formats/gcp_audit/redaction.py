"""Taking secrets out of a record before anything of it reaches a document or an alert. The archive keeps the bytes.

Replaced by `<redacted>`: private keys of service accounts (`privateKeyData`, in either spelling), members that are
secrets by their name, access tokens, JSON web tokens, API keys, client secrets and PEM keys wherever they stand.

https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts.keys#ServiceAccountKey
"""

from __future__ import annotations

import re

from ingest.parsing.secret_members import SecretMembers

_SECRETS = SecretMembers(
    """
    private_?key_?data private_?key access_?token refresh_?token id_?token identity_?token bearer_?token signed_?jwt
    client_?secret password root_?password admin_?password user_?password key_?string shared_?secret raw_?key
    rsa_?encrypted_?key hmac_?secret
    """,
    marks='privatekey token" secret" jwt" password" keystring rawkey encryptedkey',
    tokens=(
        (b"ya29.", re.compile(rb"ya29\.[A-Za-z0-9._-]{16,}")),
        (b"AIza", re.compile(rb"\bAIza[A-Za-z0-9_-]{35}")),
        (b"GOCSPX-", re.compile(rb"GOCSPX-[A-Za-z0-9_-]{16,}")),
    ),
)


def redact(record: bytes) -> bytes:
    """The record without secrets; the same object when there is none. Never raises, whatever the bytes."""
    return _SECRETS.redact(record)
