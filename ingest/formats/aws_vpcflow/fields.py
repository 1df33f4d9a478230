"""Fields of documents of flow logs besides the common ones: Elastic's names, and a few of ours beside them.

https://www.elastic.co/docs/reference/integrations/aws/vpcflow
"""

from __future__ import annotations

from ingest.formats.aws_records.fields import LOG_GROUP_FIELDS
from ingest.schema.fields import Field

_ROOT = "aws.vpcflow."
TEXTS = {
    "version": "version of the record",
    "account-id": "account of the interface",
    "interface-id": "network interface",
    "action": "ACCEPT or REJECT",
    "log-status": "OK, NODATA (no traffic) or SKIPDATA (records are missing)",
    "instance-id": "instance of the interface",
    "vpc-id": "VPC",
    "subnet-id": "subnet",
    "tcp-flags": "bitmask of the TCP flags seen",
    "type": "IPv4, IPv6 or EFA",
    "sublocation-type": "wavelength, outpost or localzone (ours)",
    "sublocation-id": "its id (ours)",
    "pkt-src-aws-service": "AWS service of the packet's source (ours)",
    "pkt-dst-aws-service": "AWS service of the packet's destination (ours)",
    "flow-direction": "ingress or egress, seen from the interface (ours)",
    "traffic-path": "way out of the VPC, 1 to 8 (ours)",
    "ecs-cluster-arn": "ECS cluster (ours)",
    "ecs-cluster-name": "its name (ours)",
    "ecs-container-instance-arn": "ECS container instance (ours)",
    "ecs-container-instance-id": "its id (ours)",
    "ecs-container-id": "first container (ours)",
    "ecs-second-container-id": "second container (ours)",
    "ecs-service-name": "ECS service (ours)",
    "ecs-task-definition-arn": "ECS task definition (ours)",
    "ecs-task-arn": "ECS task (ours)",
    "ecs-task-id": "its id (ours)",
    "reject-reason": "BPA where VPC Block Public Access refused it (ours)",
    "resource-id": "resource that the traffic belongs to (ours)",
    "encryption-status": "whether the traffic was encrypted, by whom (ours)",
}
"""Fields that become keywords, under AWS's names."""


def target(name: str) -> str:
    """The name of a field below `aws.vpcflow`."""
    return name.replace("-", "_")


FIELDS: tuple[Field, ...] = (
    *(Field(_ROOT + target(name), "keyword", meaning) for name, meaning in TEXTS.items()),
    Field(f"{_ROOT}tcp_flags_array", "keyword", "names of the TCP flags seen", array=True),
    Field(f"{_ROOT}pkt_srcaddr", "ip", "source address in the packet, where it differs from the interface's"),
    Field(f"{_ROOT}pkt_dstaddr", "ip", "destination address in the packet"),
    *LOG_GROUP_FIELDS,
)
