"""Who may do what in the local Elasticsearch: users and roles of its file realm, with generated passwords.

One identity per duty, with the rights that it has in production: what is missing there is missing here.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

import yaml

PASSWORD_BYTES = 24
PBKDF2_ROUNDS = 10_000  # what Elasticsearch reads from the hash; passwords are 192 random bits, so rounds add nothing

_LOGS = "logs-*"
_OURS = "skytrail-*"

ROLES: dict[str, dict[str, Any]] = {
    "bootstrap": {
        "cluster": ["monitor", "manage_index_templates"],
        "indices": [{"names": [_LOGS, _OURS], "privileges": ["manage", "create_index", "view_index_metadata"]}],
    },
    "indexer": {
        "cluster": ["monitor"],
        # create_doc, not create: create may overwrite through PUT _doc/<id>
        "indices": [{"names": [_LOGS], "privileges": ["auto_configure", "create_doc", "view_index_metadata"]}],
    },
    "alerter": {
        "cluster": ["monitor"],
        "indices": [
            {
                "names": ["logs-skytrail.alert-*"],
                "privileges": ["auto_configure", "create_doc", "view_index_metadata"],
            },
            {
                "names": ["skytrail-alert-state"],
                "privileges": ["auto_configure", "index", "read", "view_index_metadata"],
            },
        ],
    },
    "reader": {
        "cluster": ["monitor"],
        "indices": [{"names": [_LOGS, _OURS], "privileges": ["read", "view_index_metadata", "monitor", "maintenance"]}],
    },
    "analyst": {
        "cluster": ["monitor"],
        "indices": [{"names": ["skytrail-alert-state"], "privileges": ["read", "index"]}],
    },
    "retention": {
        "cluster": ["monitor"],
        "indices": [{"names": [_LOGS], "privileges": ["delete_index", "view_index_metadata"]}],
    },
    "eraser": {
        "cluster": ["monitor"],
        "indices": [{"names": [_LOGS], "privileges": ["delete", "view_index_metadata"]}],
    },
    "auditor": {"cluster": ["monitor", "read_security"], "indices": []},
}
ADMIN = "admin"  # superuser: for tests and `skytrail doctor`, used by nothing else
USERS = (*ROLES, ADMIN)


def new_password() -> str:
    """A password nobody has to remember."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def new_users(known: Mapping[str, str] | None = None) -> dict[str, str]:
    """A password for every user: the known one, else a generated one."""
    return {user: (known or {}).get(user) or new_password() for user in USERS}


def password_hash(password: str, salt: bytes) -> str:
    """Elasticsearch's notation of PBKDF2-HMAC-SHA512, as its file realm reads it.

    https://www.elastic.co/guide/en/elasticsearch/reference/8.19/security-settings.html#hashing-settings
    """
    derived = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, PBKDF2_ROUNDS, dklen=32)
    return f"{{PBKDF2}}{PBKDF2_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(derived).decode()}"


def users_file(users: dict[str, str]) -> str:
    """The file `users`: one `name:hash` a line."""
    return "".join(f"{user}:{password_hash(password, secrets.token_bytes(32))}\n" for user, password in users.items())


def users_roles_file() -> str:
    """The file `users_roles`: one `role:user` a line."""
    return "".join(f"{_role(user)}:{user}\n" for user in USERS)


def roles_file() -> str:
    """The file `roles.yml`."""
    text: str = yaml.safe_dump({_role(name): role for name, role in ROLES.items()}, sort_keys=False)
    return text


def _role(user: str) -> str:
    return "superuser" if user == ADMIN else f"skytrail_{user}"
