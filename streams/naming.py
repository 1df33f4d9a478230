"""Index names as the agents need them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from storage.index.names import index_name, period_of
from storage.settings import ElasticsearchSettings

Namer = Callable[[str, str, dt.datetime], str]
"""(data set, namespace, event time) → index."""


def namer(settings: ElasticsearchSettings) -> Namer:
    """Names by the configured period of each data set."""

    def name(dataset: str, namespace: str, when: dt.datetime) -> str:
        return index_name(dataset, namespace, when, period_of(dataset, settings.period))

    return name
