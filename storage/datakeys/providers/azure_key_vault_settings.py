"""Settings of the key provider azure_key_vault."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, Field

# Vaults and managed HSMs in the public cloud, in China and of the US government. A token is sent nowhere else.
_HOST: Final = (
    r"[a-z][a-z0-9-]{1,22}[a-z0-9]\.(vault\.azure\.net|vault\.azure\.cn|vault\.usgovcloudapi\.net"
    r"|managedhsm\.azure\.net|managedhsm\.azure\.cn|managedhsm\.usgovcloudapi\.net)"
)
_KEY: Final = rf"^https://{_HOST}/keys/[A-Za-z0-9-]{{1,127}}(/[0-9a-f]{{32}})?$"
_NAME: Final = rf"^https://{_HOST}/keys/[A-Za-z0-9-]{{1,127}}$"


class AzureKeyVaultSettings(BaseModel, extra="forbid", frozen=True):
    """An RSA key of Azure Key Vault or a managed HSM that wraps the data keys."""

    key: str = Field(
        pattern=_KEY,
        description="Identifier of the key, `https://<vault>.vault.azure.net/keys/<name>`: its newest version wraps. "
        "With `/<version>` that version does.",
    )
    former_keys: tuple[Annotated[str, Field(pattern=_NAME)], ...] = Field(
        default=(),
        description="Identifiers, without versions, of keys that wrapped earlier: they still unwrap. No others do.",
    )
    request_timeout_s: float = Field(default=10.0, gt=0, description="Seconds to connect, and between bytes.")
    endpoint: str = Field(
        default="",
        pattern=r"^(http://(127\.0\.0\.1|\[::1\]):[0-9]{1,5})?$",
        description="A server of tests on loopback that is asked in place of the vault.",
    )


SETTINGS = AzureKeyVaultSettings
