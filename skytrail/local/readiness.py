"""Waiting until an engine answers a request that had to prove who asks."""

from __future__ import annotations

import base64
import http.client
import time
from collections.abc import Callable

from ingest.schema.errors import EngineError
from skytrail.local.node import log_tail
from skytrail.local.ports import LOOPBACK, is_listening
from skytrail.local.state import Engine, EngineState

POLL_S = 0.1
REQUEST_TIMEOUT_S = 5.0


def answers(state: EngineState, engine: Engine) -> bool:
    """Whether the engine serves an authenticated request now."""
    if not is_listening(state.port(engine)):
        return False  # clients would wait longer for a listener than we do
    return _kafka_answers(state) if engine == "kafka" else _elasticsearch_answers(state)


def wait_ready(state: EngineState, engine: Engine, *, alive: Callable[[], bool], timeout_s: float) -> None:
    """Return when the engine answers.

    Args:
        state: Where it should listen and who asks.
        engine: Which one.
        alive: Tells whether its process still runs.
        timeout_s: How long it may take.

    Raises:
        EngineError: It ended, or does not answer in time; the end of its log is told.
    """
    until = time.monotonic() + timeout_s
    while not answers(state, engine):
        if not alive():
            raise _silent(state, engine, "it ended during its start")
        if time.monotonic() > until:
            raise _silent(state, engine, f"it does not answer after {timeout_s:.0f} s")
        time.sleep(POLL_S)


def _silent(state: EngineState, engine: Engine, what: str) -> EngineError:
    return EngineError(
        f"starting {engine}: {what}. Its last words:\n{log_tail(state, engine)}\n",
        where=str(state.logs[engine]),
        mend="mend what the log complains about (memory, disk, ports), then run `skytrail up` again",
    )


def _elasticsearch_answers(state: EngineState) -> bool:
    credentials = base64.b64encode(f"reader:{state.elasticsearch_users['reader']}".encode()).decode()
    connection = http.client.HTTPConnection(LOOPBACK, state.elasticsearch_port, timeout=REQUEST_TIMEOUT_S)
    try:
        connection.request(
            "GET",
            "/_cluster/health?wait_for_status=yellow&timeout=1s",
            headers={"Authorization": f"Basic {credentials}"},
        )
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _kafka_answers(state: EngineState) -> bool:
    from kafka import KafkaAdminClient  # noqa: PLC0415 -- slow to import, and only a start needs it
    from kafka.errors import KafkaError  # noqa: PLC0415 -- same

    try:
        client = KafkaAdminClient(
            bootstrap_servers=state.kafka_bootstrap,
            security_protocol=state.kafka_security_protocol,
            sasl_mechanism=state.kafka_mechanism,
            sasl_plain_username=state.kafka_username,
            sasl_plain_password=state.kafka_password,
            bootstrap_timeout_ms=int(REQUEST_TIMEOUT_S * 1000),
            request_timeout_ms=int(REQUEST_TIMEOUT_S * 1000),
        )
    except (KafkaError, OSError):
        return False
    try:
        client.list_topics()
    except (KafkaError, OSError):
        return False
    finally:
        client.close()
    return True
