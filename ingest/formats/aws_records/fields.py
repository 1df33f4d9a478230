"""Fields of every AWS format whose records may come through CloudWatch Logs; names of Elastic's integration."""

from __future__ import annotations

from ingest.schema.fields import Field

LOG_GROUP_FIELDS: tuple[Field, ...] = (
    Field("aws.cloudwatch.log_group", "keyword", "log group it came through"),
    Field("aws.cloudwatch.log_stream", "keyword", "log stream"),
)
