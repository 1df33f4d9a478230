"""The objects of a bucket, in pages, in the order of their names."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ingest.transports.google_cloud.objects import ObjectRef
from ingest.transports.google_cloud.storage import Storage

_PAGE = 1000  # the most that the service gives
_TIMEOUT_S = 60.0
_FIELDS = "items(name,generation,size,crc32c,timeCreated),nextPageToken"


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing tells it.

    Attributes:
        made: When this generation was made.
    """

    ref: ObjectRef
    made: dt.datetime


@dataclass(frozen=True, slots=True)
class Page:
    """Some objects, and how the next page is asked for; "" at the end."""

    objects: Sequence[Listed]
    next: str


async def page_of(storage: Storage, bucket: str, prefix: str, token: str) -> Page:
    """One page of a listing.

    Args:
        token: What the page before told; "" begins.

    Raises:
        SourceUnavailable: The service is away or busy.
        SourceRefused: There is no such bucket, or we may not list it.
    """

    def ask(client: Any) -> Page:
        listing = client.list_blobs(
            bucket,
            prefix=prefix or None,
            page_token=token or None,
            max_results=_PAGE,
            page_size=_PAGE,
            fields=_FIELDS,
            timeout=_TIMEOUT_S,
            retry=None,
        )
        blobs = list(next(listing.pages, ()))
        return Page([_listed(bucket, blob) for blob in blobs], listing.next_page_token or "")

    return await storage("listing objects", f"{bucket}/{prefix}", ask)


def _listed(bucket: str, blob: Any) -> Listed:
    ref = ObjectRef(bucket, blob.name, int(blob.generation), int(blob.size), blob.crc32c or "")
    return Listed(ref, blob.time_created)
