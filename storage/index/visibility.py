"""Makes what was written visible to searches at once, instead of after the refresh interval."""

from __future__ import annotations

from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch

from storage.index.client import explain
from storage.index.names import ALERT_STATE_INDEX, pattern

FORBIDDEN = 403


async def make_visible(client: AsyncElasticsearch, namespace: str | None = None) -> bool:
    """Refresh the indices of a namespace; for people who search right after they wrote.

    Returns:
        False when this identity may not refresh (privilege `maintenance`): what is newer than
        `elasticsearch.refresh_interval_s` may not be found yet.

    Raises:
        IndexUnavailable: Elasticsearch does not answer.
    """
    try:
        await client.indices.refresh(
            index=[pattern(None, namespace), ALERT_STATE_INDEX], ignore_unavailable=True, allow_no_indices=True
        )
    except ApiError as exc:
        if exc.status_code == FORBIDDEN:
            return False
        raise explain(exc, "refreshing indices") from exc
    except TransportError as exc:
        raise explain(exc, "refreshing indices") from exc
    return True
