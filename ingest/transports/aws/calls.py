"""Calls of AWS: the SDK blocks, so they run in threads of their own; its exceptions become our errors.

Credentials that are temporary renew themselves before they end. Those that ended all the same (a file that a login
rewrites, a clock that jumped) are looked for anew, once for each call that is told so.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.parsers import ResponseParserError

from ingest.schema.errors import SourceUnavailable
from ingest.transports.aws.advice import EXPIRED, code_of, explain
from ingest.transports.aws.settings import AwsSettings

T = TypeVar("T")

_SESSION_NAME = "skytrail"
_CONNECT_TIMEOUT_S = 10
_READ_TIMEOUT_S = 60  # longer than any long poll
_END_TIMEOUT_S = 15.0  # for calls that still run at a close


class AwsCalls:
    """Clients of one identity in one region.

    Args:
        threads: Calls at once.
    """

    def __init__(self, settings: AwsSettings, *, threads: int) -> None:
        self._settings = settings
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="aws")
        self._threads = threads
        self._lock = threading.Lock()
        self._session: Any = None
        self._clients: dict[str, Any] = {}

    async def __call__(
        self,
        service: str,
        operation: str,
        *,
        where: str,
        then: Callable[[Any], T] | None = None,
        needs: str = "",
        **parameters: Any,
    ) -> T:
        """Call an operation.

        Args:
            service: As the SDK names it (`sqs`).
            operation: As the SDK names it (`receive_message`).
            where: What it is about, for errors.
            then: Called in the thread with the answer, e.g. to read its body; None gives the answer itself.
            needs: What every answer of the operation has; one without it is not of AWS, whatever its status.
            parameters: Of the operation.

        Raises:
            SourceUnavailable: The same call may succeed later.
            SourceRefused: AWS says no.
        """
        blocking = functools.partial(self._call, service, operation, where, then, parameters)
        answer: T = await asyncio.get_running_loop().run_in_executor(self._pool, blocking)
        if needs and not (isinstance(answer, dict) and needs in answer):
            what = f"calling {service} {operation}: the answer has no {needs}"
            mend = "find out what answers in the place of AWS: a proxy, a portal, endpoint_url"
            raise SourceUnavailable(what, where=where, mend=mend)
        return answer

    async def close(self) -> None:
        """Let running calls end; no thread is left but one whose network hangs."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(
                asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True), _END_TIMEOUT_S
            )

    def _call(
        self, service: str, operation: str, where: str, then: Callable[[Any], T] | None, parameters: dict[str, Any]
    ) -> T:
        try:
            try:
                return self._once(service, operation, then, parameters)
            except ClientError as exc:
                if code_of(exc) not in EXPIRED:
                    raise
            self._forget()
            return self._once(service, operation, then, parameters)
        except (BotoCoreError, ClientError, ResponseParserError, OSError, ValueError) as exc:
            raise explain(exc, f"calling {service} {operation}", where) from exc

    def _once(self, service: str, operation: str, then: Callable[[Any], T] | None, parameters: dict[str, Any]) -> T:
        answer = getattr(self._client(service), operation)(**parameters)
        return then(answer) if then else answer

    def _client(self, service: str) -> Any:
        with self._lock:  # sessions are not made for several threads, clients are
            if service not in self._clients:
                if self._session is None:
                    self._session = _session(self._settings)
                self._clients[service] = self._session.client(service, **_options(self._settings, self._threads))
            return self._clients[service]

    def _forget(self) -> None:
        with self._lock:
            self._session = None
            self._clients = {}


def _options(settings: AwsSettings, connections: int) -> dict[str, Any]:
    config = Config(
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=_READ_TIMEOUT_S,
        max_pool_connections=connections,
        retries={"mode": "standard", "total_max_attempts": 3},
        user_agent_extra="skytrail",
    )
    return {
        "region_name": settings.region or None,
        "endpoint_url": settings.endpoint_url or None,
        "config": config,
    }


def _session(settings: AwsSettings) -> Any:
    core = botocore.session.Session()
    if settings.role_arn:
        core.register_component("credential_provider", CredentialResolver([_Role(settings)]))
    return boto3.session.Session(botocore_session=core)


class _Role(CredentialProvider):  # type: ignore[misc]  # the SDK has no types
    """Credentials of a role; taken when first needed, and again before they end."""

    METHOD = "assume-role"

    def __init__(self, settings: AwsSettings) -> None:
        super().__init__()
        self._settings = settings

    def load(self) -> Any:
        own = botocore.session.Session()
        credentials = own.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        arguments = {"RoleSessionName": _SESSION_NAME}
        if self._settings.external_id:
            arguments["ExternalId"] = self._settings.external_id
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=functools.partial(own.create_client, **_options(self._settings, 1)),
            source_credentials=credentials,
            role_arn=self._settings.role_arn,
            extra_args=arguments,
        )
        return DeferredRefreshableCredentials(fetcher.fetch_credentials, self.METHOD)
