"""What every way in from AWS can be told: where, and as whom."""

from __future__ import annotations

from pydantic import BaseModel, Field


class AwsSettings(BaseModel, extra="forbid", frozen=True):
    """AWS. Credentials are those that the AWS tools find: environment, files, web identity, container, instance."""

    region: str = Field(default="", description="Region, e.g. eu-central-1. Empty: as the AWS tools find it.")
    role_arn: str = Field(default="", description="Role to take for every call. Empty: none.")
    external_id: str = Field(default="", description="Word that the role's trust policy asks for.")
    endpoint_url: str = Field(
        default="", description="Another address of all services, e.g. of a test server. Empty: that of AWS."
    )
