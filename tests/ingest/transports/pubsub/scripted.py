"""A subscription with exactly-once delivery that refuses acknowledgements as a test asks: pstest accepts them all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.pubsub_v1 import types
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

_SERVICE = "google.pubsub.v1.Subscriber"


class ExactlyOnce:
    """Hands out one message.

    Args:
        refusals: What is said of its acknowledgement, in turn (`PERMANENT_FAILURE_INVALID_ACK_ID`, `TRANSIENT_…`);
            afterwards it is accepted. A permanent refusal hands the message out again, under another id.

    Attributes:
        acknowledged: Whether one was accepted.
    """

    def __init__(self, body: bytes, refusals: list[str]) -> None:
        self._body = body
        self._refusals = refusals
        self._due = threading.Semaphore(1)
        self._ended = threading.Event()
        self._handed_out = 0
        self.acknowledged = False
        self._server = grpc.server(ThreadPoolExecutor(8))
        self._server.add_generic_rpc_handlers(
            [
                grpc.method_handlers_generic_handler(
                    _SERVICE,
                    {
                        "StreamingPull": _handler(
                            grpc.stream_stream_rpc_method_handler, self._pull, types.StreamingPullRequest
                        ),
                        "Acknowledge": _handler(
                            grpc.unary_unary_rpc_method_handler, self._acknowledge, types.AcknowledgeRequest
                        ),
                        "ModifyAckDeadline": _handler(
                            grpc.unary_unary_rpc_method_handler, lambda *_: b"", types.ModifyAckDeadlineRequest
                        ),
                        "GetSubscription": _handler(
                            grpc.unary_unary_rpc_method_handler, self._describe, types.GetSubscriptionRequest
                        ),
                    },
                )
            ]
        )
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def close(self) -> None:
        self._ended.set()
        self._server.stop(0).wait()

    def _pull(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[bytes]:
        del requests  # the first names the subscription, the others carry nothing that matters here
        properties = {"exactly_once_delivery_enabled": True}
        while context.is_active() and not self._ended.is_set():
            if not self._due.acquire(timeout=0.05):
                continue
            self._handed_out += 1
            message = {"ack_id": f"id-{self._handed_out}", "message": {"data": self._body, "message_id": "7"}}
            answer = types.StreamingPullResponse(received_messages=[message], subscription_properties=properties)
            yield types.StreamingPullResponse.serialize(answer)

    def _acknowledge(self, request: Any, context: grpc.ServicerContext) -> bytes:
        if not self._refusals:
            self.acknowledged = True
            return b""
        refusal = self._refusals.pop(0)
        if not refusal.startswith("TRANSIENT"):
            self._due.release()
        status = status_pb2.Status(code=grpc.StatusCode.FAILED_PRECONDITION.value[0], message="refused")
        status.details.add().Pack(error_details_pb2.ErrorInfo(metadata=dict.fromkeys(request.ack_ids, refusal)))
        context.abort_with_status(rpc_status.to_status(status))
        raise AssertionError

    def _describe(self, request: Any, _context: grpc.ServicerContext) -> bytes:
        return types.Subscription.serialize(types.Subscription(name=request.subscription))


def _handler(kind: Any, method: Any, request: Any) -> Any:
    return kind(method, request_deserializer=request.deserialize, response_serializer=lambda answer: answer)
