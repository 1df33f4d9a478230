"""Settings of the key provider google_cloud_kms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, Field

_KEY: Final = r"^projects/[a-z0-9.:-]{1,100}/locations/[a-z0-9-]{1,63}/keyRings/[\w-]{1,63}/cryptoKeys/[\w-]{1,63}$"


class GoogleCloudKmsSettings(BaseModel, extra="forbid", frozen=True):
    """A symmetric key of Google Cloud KMS that wraps the data keys."""

    key: str = Field(
        pattern=_KEY,
        description="Name of the key, `projects/…/locations/…/keyRings/…/cryptoKeys/…`: its primary version wraps.",
    )
    former_keys: tuple[Annotated[str, Field(pattern=_KEY)], ...] = Field(
        default=(), description="Names of keys that wrapped earlier: they still unwrap. No others do."
    )
    credentials_file: Path | None = Field(
        default=None, description="File with credentials. Unset: those that Google's tools find on the machine."
    )
    request_timeout_s: float = Field(default=10.0, gt=0, description="Seconds to connect, and between bytes.")
    endpoint: str = Field(
        default="",
        pattern=r"^(http://(127\.0\.0\.1|\[::1\]):[0-9]{1,5})?$",
        description="A server of tests on loopback that is asked in place of Cloud KMS.",
    )


SETTINGS = GoogleCloudKmsSettings
