"""Fields of documents of Google's flow logs besides the common ones: Elastic's names, and a few of ours beside them.

https://www.elastic.co/docs/reference/integrations/gcp/vpcflow
"""

from __future__ import annotations

from ingest.schema.fields import Field

_ENDS = (
    ("instance.project_id", "project of the machine"),
    ("instance.region", "region of the machine"),
    ("instance.zone", "zone of the machine"),
    ("instance.group", "managed instance group of the machine (ours)"),
    ("vpc.project_id", "project of the network"),
    ("vpc.vpc_name", "network"),
    ("vpc.subnetwork_name", "subnetwork"),
    ("cluster.name", "GKE cluster (ours)"),
    ("cluster.namespace", "namespace of the pod (ours)"),
    ("cluster.pod", "pod (ours)"),
    ("google_service", "Google service at this end (ours)"),
    ("gateway", "gateway or interconnect attachment at this end (ours)"),
)

FIELDS: tuple[Field, ...] = (
    *(Field(f"gcp.{end}.{name}", "keyword", meaning) for end in ("source", "destination") for name, meaning in _ENDS),
    Field("gcp.vpcflow.reporter", "keyword", "end that wrote the record: SRC, DEST, SRC_GATEWAY, DEST_GATEWAY"),
    Field("gcp.vpcflow.rtt.ms", "double", "round trip, milliseconds; of TCP only"),
    Field("gcp.vpcflow.log_id", "keyword", "log in its project: compute.googleapis.com%2Fvpc_flows (ours)"),
    Field("gcp.vpcflow.flattened", "flattened", "members of the record that have no field of their own (ours)"),
    Field("network.name", "keyword", "network of the end that wrote the record"),
)
