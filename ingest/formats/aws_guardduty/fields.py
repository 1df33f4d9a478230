"""Fields of documents of GuardDuty findings besides the common ones: Elastic's names, and a few of ours beside them.

https://www.elastic.co/docs/reference/integrations/aws/guardduty
"""

from __future__ import annotations

from ingest.formats.aws_records.fields import LOG_GROUP_FIELDS
from ingest.schema.fields import Field

_ROOT = "aws.guardduty."
_TEXTS = (
    ("account_id", "account that the finding is about"),
    ("arn", "ARN of the finding"),
    ("id", "id of the finding; updates of a finding keep it"),
    ("partition", "aws, aws-cn, aws-us-gov"),
    ("region", "region"),
    ("schema_version", "version of the finding's schema"),
    ("type", "kind of finding: ThreatPurpose:ResourceType/ThreatFamily"),
    ("severity.value", "Low, Medium, High or Critical"),
    ("resource.type", "AccessKey, Instance, S3Bucket, EKSCluster, …"),
    ("resource.access_key_details.accesskey_id", "access key used"),
    ("resource.access_key_details.principal_id", "principal used"),
    ("resource.access_key_details.user.name", "its user or role"),
    ("resource.access_key_details.user.type", "its kind"),
    ("service.action.type", "what was observed: AWS_API_CALL, NETWORK_CONNECTION, …"),
    ("service.detector_id", "detector that found it"),
    ("service.feature_name", "source of data that it was found in"),
    ("service.resource_role", "TARGET or ACTOR"),
)

FIELDS: tuple[Field, ...] = (
    *(Field(_ROOT + name, "keyword", meaning) for name, meaning in _TEXTS),
    Field(f"{_ROOT}title", "text", "the finding in one line"),
    Field(f"{_ROOT}description", "text", "the finding in words"),
    Field(f"{_ROOT}created_at", "date", "when the finding was made"),
    Field(f"{_ROOT}updated_at", "date", "when it was last changed"),
    Field(f"{_ROOT}severity.code", "double", "severity, 1 to 10"),
    Field(f"{_ROOT}confidence", "double", "confidence, where it is told"),
    Field(f"{_ROOT}service.archived", "boolean", "whether it is archived"),
    Field(f"{_ROOT}service.count", "long", "times it was observed"),
    Field(f"{_ROOT}flattened.resource", "flattened", "what it is about, whole (ours)"),
    Field(f"{_ROOT}flattened.service", "flattened", "what was observed, whole (ours)"),
    Field("rule.category", "keyword", "purpose of the threat: first part of the type"),
    Field("rule.ruleset", "keyword", "purpose and kind of resource"),
    Field("rule.name", "name", "kind of finding"),
    Field("dns.question.name", "keyword", "name asked for"),
    *LOG_GROUP_FIELDS,
)
