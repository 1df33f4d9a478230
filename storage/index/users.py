"""Creates the roles and users of Elasticsearch through its security API, as the superuser; safe to run again.

Needs the full security module (the file realm of a minimal distribution has no such API).
https://www.elastic.co/guide/en/elasticsearch/reference/8.19/security-api.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch

from storage.index.client import explain
from storage.settings import Login


async def ensure_users(
    client: AsyncElasticsearch, roles: Mapping[str, Mapping[str, Any]], logins: Mapping[str, Login]
) -> list[str]:
    """Put one role and one user per duty; a user's password becomes the given one.

    Args:
        client: Of the superuser.
        roles: Rights per duty: the body of a role.
        logins: User and password per duty; a duty without user name and password is left out.

    Returns:
        What was done, a phrase each.

    Raises:
        IndexUnavailable: Elasticsearch does not answer, or this user may not manage security.
    """
    done = []
    try:
        for duty, body in roles.items():
            login = logins.get(duty)
            if login is None or not (login.username and login.password.get_secret_value()):
                continue
            role = f"skytrail_{duty}"
            await client.security.put_role(name=role, **body)
            answer = await client.security.put_user(
                username=login.username,
                password=login.password.get_secret_value(),
                roles=[role],
                full_name=f"Skytrail: {duty}",
            )
            done.append(f"{'created' if answer['created'] else 'updated'} user {login.username} with role {role}")
    except (ApiError, TransportError) as exc:
        raise explain(exc, "creating users", "Elasticsearch security") from exc
    return done


async def set_password(client: AsyncElasticsearch, username: str, password: str) -> None:
    """Set the password of a user that Elasticsearch brings along, such as `kibana_system`.

    Raises:
        IndexUnavailable: Elasticsearch does not answer, or this user may not manage security.
    """
    try:
        await client.security.change_password(username=username, password=password)
    except (ApiError, TransportError) as exc:
        raise explain(exc, f"setting the password of {username}", "Elasticsearch security") from exc
