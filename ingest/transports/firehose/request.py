"""What Firehose sends, and the shape of what it wants to be answered. Pure.

https://docs.aws.amazon.com/firehose/latest/dev/httpdeliveryrequestresponse.html
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import Annotated

import msgspec

from ingest.parsing.gzip_member import inflate
from ingest.schema.errors import MalformedBody

_MOST_MESSAGE = 8192  # characters of an errorMessage


class _Record(msgspec.Struct, frozen=True):
    data: bytes  # base64, as msgspec reads bytes in JSON


class _Body(msgspec.Struct, frozen=True):
    requestId: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]  # noqa: N815 - as Firehose names it
    records: list[_Record]


class Request(msgspec.Struct, frozen=True):
    """One request, understood.

    Attributes:
        id: What Firehose calls it; the same in each attempt.
        records: The data of each record, in order, as it was put into the stream.
        digest: Tells attempts of one request from another one that has its id.
    """

    id: str
    records: Sequence[bytes]
    digest: bytes


_decoder = msgspec.json.Decoder(_Body)


def read_request(body: bytes, header_id: str, limit: int) -> Request:
    """Understand a request.

    Args:
        body: As received, perhaps gzip.
        header_id: The id in the header; "" where there is none.
        limit: The most bytes of the body once inflated.

    Raises:
        MalformedBody: It is no request of Firehose, or too large.
    """
    inflated = inflate(body, limit)
    try:
        found = _decoder.decode(inflated)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise MalformedBody(f"reading request: {exc}", where="body") from exc
    if header_id and header_id != found.requestId:
        raise MalformedBody("reading request: the ids in header and body differ", where="requestId")
    records = [record.data for record in found.records]
    digest = hashlib.sha256(found.requestId.encode("utf-8", "surrogatepass"))
    for record in records:
        digest.update(b"%d:" % len(record))
        digest.update(record)
    return Request(found.requestId, records, digest.digest())


def answer_of(request_id: str, now: dt.datetime, error: str = "") -> bytes:
    """The body of an answer.

    Args:
        request_id: That of the request; Firehose takes an answer with another one as a failure.
        now: The present (UTC).
        error: Why the answer is no 200.
    """
    answer: dict[str, str | int] = {"requestId": request_id, "timestamp": int(now.timestamp() * 1000)}
    if error:
        answer["errorMessage"] = error[:_MOST_MESSAGE]
    return msgspec.json.encode(answer)
