"""Index names as the agents need them."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable

from ingest.formats.registry import all_formats
from storage.index.names import index_name, period_of
from storage.retention.policy import read_policy
from storage.settings import ElasticsearchSettings, Period, RetentionSettings
from streams.topics import DEAD_LETTERS, format_of

Namer = Callable[[str, str, dt.datetime], str]
"""(data set, namespace, event time) → index."""
Rotating = Callable[[str, str, dt.date], Period | None]
"""(namespace, data set, UTC day of the event) → the period that a policy says, if it says one."""


DEAD_LETTER_DATASET = "skytrail.dead-letters"
"""What policies call the sealed dead letters: each can hold a record of any format."""


def dataset_of(topic: str) -> str:
    """The data set of what a topic carries; of an unknown one its name, which a policy can speak of too."""
    if topic == DEAD_LETTERS:
        return DEAD_LETTER_DATASET
    try:
        return all_formats()[format_of(topic)].dataset
    except (KeyError, ValueError):
        return topic


def unsaid(namespace: str, dataset: str, day: dt.date) -> Period | None:
    """No policy says anything."""
    del namespace, dataset, day
    return None


def rotating(retention: RetentionSettings) -> Rotating:
    """What the policy of the settings says; read once.

    Raises:
        ConfigError: The policy is not sound.
    """
    if retention.policy_file is None:
        return unsaid
    return functools.lru_cache(maxsize=4096)(read_policy(retention.policy_file).period_of)


def namer(settings: ElasticsearchSettings, rotation: Rotating = unsaid) -> Namer:
    """Names by the period of the policy, else by the configured period of each data set."""

    def name(dataset: str, namespace: str, when: dt.datetime) -> str:
        period = rotation(namespace, dataset, when.astimezone(dt.UTC).date()) or period_of(dataset, settings.period)
        return index_name(dataset, namespace, when, period)

    return name
