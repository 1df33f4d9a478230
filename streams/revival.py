"""Keeps a worker alive that Kafka's absence ended: it starts itself again in place, with the same process id.

Faust lives through most outages of the brokers. One that meets it in the middle of a rebalance, or that outlasts a
request's patience, ends its consumer for good, and nothing in this process can revive that. Nothing is lost either:
what was not acknowledged comes again. So the process says why, waits until a broker answers, and replaces itself by the
same command line (`execv`): supervisors see no crash, memory and connections are new.

Never for a signal to stop, for a watchdog, or for what waiting can't mend (credentials, rights, sizes): then the exit
code tells the supervisor.
"""

from __future__ import annotations

import os
import random
import sys
import time
from typing import NoReturn

import structlog
from aiokafka import errors as kafka_errors

from ingest.settings import KafkaSettings
from streams.broker_wait import causes, is_refusal, wait_for_brokers

PAUSE_S = (0.5, 3.0)  # before the first look, so that the workers of one outage do not come back in step
_BEYOND_WAITING = (
    kafka_errors.ClusterAuthorizationFailedError,
    kafka_errors.GroupAuthorizationFailedError,
    kafka_errors.TopicAuthorizationFailedError,
    kafka_errors.InvalidConfigurationError,
    kafka_errors.InvalidTopicError,
    kafka_errors.MessageSizeTooLargeError,
    kafka_errors.UnsupportedCodecError,
    kafka_errors.UnsupportedVersionError,
)

log = structlog.get_logger("skytrail.worker")


def broker_reason(crash: BaseException | None) -> str:
    """Why Kafka's absence ended a worker, in words; empty when it was anything else.

    Args:
        crash: What ended it, or an exit that was raised because of it.
    """
    chain = list(causes(crash))
    if crash is None or is_refusal(crash) or any(isinstance(cause, _BEYOND_WAITING) for cause in chain):
        return ""
    found = next((cause for cause in chain if isinstance(cause, kafka_errors.KafkaError)), None)
    return repr(found) if found else ""


def restart_in_place(kafka: KafkaSettings, reason: str) -> NoReturn:
    """Wait for the brokers, then become a new worker.

    Raises:
        ConfigError: The brokers refuse our credentials.
    """
    log.error("the brokers' absence ended this worker; it starts again in place when they answer", reason=reason)
    time.sleep(random.uniform(*PAUSE_S))  # noqa: S311 - jitter, not a secret
    wait_for_brokers(kafka)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - our own command line, no shell
