"""Fields of documents of CloudWatch besides the common ones: Elastic's names for log groups, the others are ours.

https://www.elastic.co/docs/reference/integrations/aws/cloudwatch
"""

from __future__ import annotations

from ingest.formats.aws_records.fields import LOG_GROUP_FIELDS
from ingest.schema.fields import Field

_ROOT = "aws.cloudwatch."

FIELDS: tuple[Field, ...] = (
    *LOG_GROUP_FIELDS,
    Field(f"{_ROOT}message", "flattened", "members of a message that is a JSON object"),
    Field(f"{_ROOT}event.detail_type", "keyword", "detail-type of an event of EventBridge"),
    Field(f"{_ROOT}event.source", "keyword", "what sent the event: aws.ec2, …"),
    Field(f"{_ROOT}event.resources", "keyword", "ARNs that the event is about", array=True),
    Field(f"{_ROOT}event.detail", "flattened", "detail of the event"),
    Field(f"{_ROOT}alarm.name", "keyword", "alarm"),
    Field(f"{_ROOT}alarm.arn", "keyword", "its ARN"),
    Field(f"{_ROOT}alarm.state", "keyword", "OK, ALARM or INSUFFICIENT_DATA"),
    Field(f"{_ROOT}alarm.previous_state", "keyword", "state before"),
    Field(f"{_ROOT}alarm.description", "text", "description of the alarm"),
)
