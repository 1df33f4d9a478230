"""What errors of azure-eventhub mean, and when a refusal is for good.

The SDK retries everything for ever and tells each failure alike; a consumer group that does not exist would never end.
https://learn.microsoft.com/azure/event-hubs/exceptions-dotnet has the conditions.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field

from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.eventhub.exceptions import AuthenticationError, EventHubError

from ingest.schema.errors import SkytrailError, SourceRefused, SourceUnavailable
from ingest.transports.azure.containers import storage_trouble

_STOLEN = "link:stolen"
_BUSY = "server-busy"
_REFUSALS = {
    "not-found": "create the event hub and the consumer group, or correct their names in the settings",
    "unauthorized-access": "give the identity the role `Azure Event Hubs Data Receiver`, or a rule that may Listen",
    "not-allowed": "the settings of the hub forbid this; its receivers per group and partition are limited to 5",
}
_AUTHENTICATION = (
    "the identity needs the role `Azure Event Hubs Data Receiver`, a connection string a rule that may Listen; "
    "check that it did not expire and that the clock is right"
)
REFUSALS_TO_END = 3
_RUN_S = 600.0  # refusals that lie further apart have nothing to do with each other


def is_theft(error: Exception) -> bool:
    """Whether another reader took the partition, or has it with a higher epoch."""
    return isinstance(error, EventHubError) and error.error == _STOLEN


def named(error: Exception, where: str, container: str) -> SkytrailError:
    """An error of the SDK in our tree.

    Args:
        error: As the SDK told it.
        where: The hub, the partition.
        container: Where the checkpoints are.
    """
    if isinstance(error, SkytrailError):
        return error
    if isinstance(error, (AuthenticationError, ClientAuthenticationError)):
        return SourceRefused(f"authenticating: {_one_line(error)}", where=where, mend=_AUTHENTICATION)
    if isinstance(error, EventHubError):
        condition = error.error or ""
        if condition in _REFUSALS:
            return SourceRefused(f"reading events: {_one_line(error)}", where=where, mend=_REFUSALS[condition])
        if condition == _BUSY:
            mend = "it is retried; if it goes on, give the namespace more throughput units or fewer readers"
            return SourceUnavailable("reading events: the namespace is throttled", where=where, mend=mend)
        return SourceUnavailable(f"reading events: {_one_line(error)}", where=where)
    if isinstance(error, AzureError):
        return store_trouble(error, container)
    return SourceUnavailable(f"reading events: {type(error).__name__}: {_one_line(error)}", where=where)


def store_trouble(error: Exception, container: str) -> SkytrailError:
    """An error of the container of checkpoints."""
    if isinstance(error, AzureError):
        return storage_trouble("keeping checkpoints", error, container)
    told = "no answer" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {_one_line(error)}"
    return SourceUnavailable(f"keeping checkpoints: {told}", where=container)


def taken(where: str, group: str, container: str) -> SourceRefused:
    """Somebody reads our partition whom our checkpoints do not know."""
    return SourceRefused(
        f"reading events: another reader of the consumer group {group!r} takes this partition, and its checkpoints "
        f"are not in {container}",
        where=where,
        mend="find the other reader; give this collector a consumer group that nobody else reads",
    )


def lost(where: str, first: int, count: int) -> SourceUnavailable:
    """Events that Event Hubs does not have any longer."""
    what = f"reading events: {count} events from number {first} on are gone: the hub kept them for too short a time"
    mend = "they are lost at the source: raise the retention of the hub above the longest pause of this collector"
    return SourceUnavailable(what, where=where, mend=mend)


@dataclass(slots=True)
class Refusals:
    """Counts refusals: one may be a change of keys, or a rebalance; a run of them ends the collector.

    Attributes:
        limit: How many of one place, within `_RUN_S`, are a run.
    """

    limit: int = REFUSALS_TO_END
    _seen: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def note(self, place: str, now: float) -> bool:
        """Note a refusal; whether it is one too many."""
        seen = self._seen[place]
        seen.append(now)
        while seen[0] < now - _RUN_S:
            seen.popleft()
        return len(seen) >= self.limit

    def clear(self, place: str) -> None:
        """It worked again."""
        self._seen.pop(place, None)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
