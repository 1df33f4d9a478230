"""Settings of the endpoint for signed requests."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from ingest.transports.endpoint.settings import EndpointSettings

_HEADER = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"


class SignedWebhookSettings(EndpointSettings, extra="forbid", frozen=True):
    """An HTTPS endpoint for whoever can sign: POST /webhook/<source-id>, with an HMAC-SHA256 over time and body."""

    secret_file: Path = Field(
        description="File with the keys of signatures, a line each: `<source-id> <secret>` or `<secret>`; several of "
        "one source are accepted together, so that a key can be changed."
    )
    secret_encoding: Literal["text", "base64"] = Field(
        default="text", description="How the file writes a key; `whsec_` before base64 is left away."
    )
    signed: str = Field(
        default="{timestamp}.{body}",
        description="What is signed: a text with {timestamp}, perhaps {id}, and {body} at its end.",
    )
    signature_header: str = Field(default="X-Signature", pattern=_HEADER, description="Header with the signature.")
    signature_prefix: str = Field(
        default="", description="What stands before the signature in its header, e.g. `sha256=` or `v1,`."
    )
    signature_encoding: Literal["hex", "base64"] = Field(default="hex", description="How the signature is written.")
    timestamp_header: str = Field(
        default="X-Timestamp", pattern=_HEADER, description="Header with the time of signing, in Unix seconds."
    )
    id_header: str = Field(
        default="",
        description="Header with the id of a message, which its repetitions keep. Set it if {id} is signed.",
    )
    replay_window_s: int = Field(
        default=300, ge=1, le=86_400, description="Seconds that the time of signing may be away from ours."
    )
    replay_memory: int = Field(
        default=200_000,
        ge=1,
        description="Requests remembered within the window; while it is full, new ones are answered 429.",
    )
    answer_within_s: float = Field(
        default=20.0, gt=0, description="Seconds to wait for the brokers before a request is answered 429."
    )


SETTINGS = SignedWebhookSettings
