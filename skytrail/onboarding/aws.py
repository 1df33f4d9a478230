"""The set-up of AWS: a trail, its bucket, a queue that announces files, a role that reads them.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-kms-key-policy-for-cloudtrail.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from skytrail.onboarding.setup_files import SetUp, checked, fill, namespaced

Tool = Literal["cloudformation", "terraform"]

_DOMAINS = {"aws-cn": "amazonaws.com.cn", "aws-eusc": "amazonaws.eu"}
_COLLECTOR = """\
[collectors.{name}]
transport = "s3_sqs"
format = "aws.cloudtrail"
namespace = "{namespace}"

[collectors.{name}.s3_sqs]
queue_url = "https://sqs.{region}.{domain}/<account>/{name}-files"
region = "{region}"
role_arn = "arn:{partition}:iam::<account>:role/{name}-reader"
external_id = "{external_id}"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsSource:
    """What the operator says of a trail.

    Attributes:
        name: Of the trail, and of everything made for it.
        region: Home region of the trail; it logs all regions.
        reader: ARN of the principal as which the collector runs.
        external_id: Shared word that the collector names when it takes the role.
        organisation: `o-…` for a trail of the whole organisation; "" for one account.
        management_account: Its management account, which owns the trail, where its delegated administrator makes it.
        data_events: Log reads and writes of S3 objects and Lambda calls as well.
        namespace: Where the events go.
        tool: Language of the file.
    """

    name: str
    region: str
    reader: str
    external_id: str
    organisation: str = ""
    management_account: str = ""
    data_events: bool = False
    namespace: str = "default"
    tool: Tool = "cloudformation"


def trusted(region: str, reader: str, external_id: str) -> dict[str, str]:
    """Where a role is made, and who may take it by which word, if they have the form that AWS gives them.

    Raises:
        ConfigError: One has not.
    """
    arn = r"arn:aws[a-z-]*:iam::\d{12}:[\w+=,.@/-]+"
    return {
        "region": checked("the region", region, r"[a-z]{2,4}(-[a-z]+)+-\d", "eu-central-1"),
        "reader": checked("the reader", reader, arn, "arn:aws:iam::123456789012:role/skytrail"),
        "external_id": checked("the external id", external_id, r"[\w+=,.@:/-]{16,128}", "16 characters or more"),
    }


def set_up(source: AwsSource) -> SetUp:
    """The files, the collector and the steps.

    Raises:
        ConfigError: A value has not the form that AWS gives it.
    """
    owner = r"(\d{12})?" if source.organisation else ""  # an account owns its own trail
    values = {
        "name": checked("the name", source.name, r"[a-z][a-z0-9-]{2,30}[a-z0-9]", "cloudtrail"),
        **trusted(source.region, source.reader, source.external_id),
        "organisation": checked("the organisation", source.organisation, r"(o-[a-z0-9]{10,32})?", "o-a1b2c3d4e5"),
        "management_account": checked(
            "the management account", source.management_account, owner, "123456789012, beside an organisation"
        ),
        "data_events": "yes" if source.data_events else "no",
        "data_events_bool": "true" if source.data_events else "false",
    }
    template = "aws/skytrail-cloudtrail.yaml" if source.tool == "cloudformation" else "aws/main.tf"
    file = fill(template, values)
    partition = source.reader.split(":")[1]
    collector = _COLLECTOR.format(
        **values,
        namespace=namespaced(source.namespace),
        partition=partition,
        domain=_DOMAINS.get(partition, "amazonaws.com"),
    )
    apply = (
        f"aws cloudformation deploy --region {source.region} --stack-name {source.name} --template-file {file.name} "
        "--capabilities CAPABILITY_NAMED_IAM"
        if source.tool == "cloudformation"
        else "terraform init && terraform apply"
    )
    steps = (
        f"apply {file.name} in the account that owns the trail: {apply}",
        "put the collector into skytrail.toml, with the account's number",
        f"skytrail onboard check {source.name}",
        f"skytrail collect {source.name}",
    )
    return SetUp((file,), collector, steps)
