"""`skytrail onboard …`: the least-privilege set-up of a source as files that are ready to apply."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from ingest.schema.errors import ConfigError
from skytrail.cli.output import Output, OutputOption, emit_object, say
from skytrail.onboarding import aws, azure, gcp, kubernetes, oci
from skytrail.onboarding.setup_files import SetUp, SetupFile

group = typer.Typer(help="Connect a source: set-up files, and proof that they work.", no_args_is_help=True)
"""The group `onboard`; other files of this package add their verbs to it."""

Name = Annotated[str, typer.Option(help="Name of the source and of everything made for it.")]
Namespace = Annotated[str, typer.Option(help="Namespace that the events go to.")]
Directory = Annotated[Path | None, typer.Option("--out", help="Write the files here; without it they are printed.")]
Words = Annotated[str, typer.Option(help="Word shared with the role, 16 characters or more; default: a random one.")]
Extra = Annotated[bool, typer.Option("--data-events", help="Log reads of data as well, which the cloud charges for.")]


def register(app: typer.Typer) -> None:
    """Add the group with its first commands."""
    group.command("aws")(onboard_aws)
    group.command("azure")(onboard_azure)
    group.command("gcp")(onboard_gcp)
    group.command("oci")(onboard_oci)
    group.command("kubernetes")(onboard_kubernetes)
    app.add_typer(group, name="onboard")


def onboard_aws(
    region: Annotated[str, typer.Option(help="Home region of the trail; it logs every region.")],
    reader: Annotated[str, typer.Option(help="ARN of the principal as which the collector runs.")],
    name: Name = "skytrail-trail",
    organisation: Annotated[str, typer.Option(help="o-… for a trail of the whole organisation.")] = "",
    management_account: Annotated[
        str, typer.Option(help="Its management account, where its delegated administrator makes the trail.")
    ] = "",
    data_events: Extra = False,
    external_id: Words = "",
    tool: Annotated[str, typer.Option(help="cloudformation or terraform.")] = "cloudformation",
    namespace: Namespace = "default",
    out: Directory = None,
    output: OutputOption = None,
) -> None:
    """A multi-region CloudTrail with digests, its bucket and queue, and a role that reads only them.

    Examples:  skytrail onboard aws --region eu-central-1 --reader arn:aws:iam::123456789012:role/skytrail   |
    skytrail onboard aws --region us-east-1 --reader arn:aws:iam::123456789012:role/skytrail --tool terraform
    """
    if tool not in get_args(aws.Tool):
        raise ConfigError(f"choosing the tool: {tool!r} is unknown", mend="use cloudformation or terraform")
    source = aws.AwsSource(
        name=name,
        region=region,
        reader=reader,
        external_id=external_id or secrets.token_urlsafe(24),
        organisation=organisation,
        management_account=management_account,
        data_events=data_events,
        namespace=namespace,
        tool="terraform" if tool == "terraform" else "cloudformation",
    )
    _deliver(aws.set_up(source), out, output)


def onboard_azure(
    subscription: Annotated[str, typer.Option(help="Id of the subscription.")],
    region: Annotated[str, typer.Option(help="Where the Event Hubs are, e.g. westeurope.")],
    reader: Annotated[str, typer.Option(help="Object id of the identity as which the collector runs.")],
    name: Name = "skytrail",
    namespace: Namespace = "default",
    out: Directory = None,
    output: OutputOption = None,
) -> None:
    """Diagnostic settings of a subscription, of Entra, of key vaults and AKS clusters into Event Hubs (Terraform).

    Examples:  skytrail onboard azure --subscription ID --region westeurope --reader OBJECT_ID --out ./azure
    """
    source = azure.AzureSource(name=name, subscription=subscription, region=region, reader=reader, namespace=namespace)
    _deliver(azure.set_up(source), out, output)


def onboard_gcp(
    project: Annotated[str, typer.Option(help="Id of the project that gets the topic.")],
    name: Name = "skytrail-logs",
    organisation: Annotated[str, typer.Option(help="Number of the organisation, for a sink of all of it.")] = "",
    data_events: Extra = False,
    reader: Annotated[
        list[str] | None, typer.Option(help="Member that may act as the reader, e.g. principal://…; repeatable.")
    ] = None,
    namespace: Namespace = "default",
    out: Directory = None,
    output: OutputOption = None,
) -> None:
    """A sink of audit and flow logs into Pub/Sub, and a service account that can pull and nothing else (Terraform).

    Examples:  skytrail onboard gcp --project my-project   |
    skytrail onboard gcp --project my-project --organisation 123456789012 --data-events --out ./gcp
    """
    source = gcp.GcpSource(
        name=name,
        project=project,
        organisation=organisation,
        data_access=data_events,
        readers=tuple(reader or ()),
        namespace=namespace,
    )
    _deliver(gcp.set_up(source), out, output)


def onboard_oci(
    region: Annotated[str, typer.Option(help="Home region, e.g. eu-frankfurt-1.")],
    tenancy: Annotated[str, typer.Option(help="OCID of the tenancy.")],
    compartment: Annotated[str, typer.Option(help="OCID of the compartment that gets the stream.")],
    name: Name = "skytrail",
    reader_email: Annotated[str, typer.Option(help="Of the user that reads; identity domains ask for one.")] = "",
    namespace: Namespace = "default",
    out: Directory = None,
    output: OutputOption = None,
) -> None:
    """Audit events of a tenancy into a stream with a Kafka interface, and a user that reads it (Terraform).

    Examples:  skytrail onboard oci --region eu-frankfurt-1 --tenancy OCID --compartment OCID --out ./oci
    """
    source = oci.OciSource(
        name=name, region=region, tenancy=tenancy, compartment=compartment, email=reader_email, namespace=namespace
    )
    _deliver(oci.set_up(source), out, output)


def onboard_kubernetes(
    name: Name,
    host: Annotated[str, typer.Option(help="Name under which API servers reach the webhook.")] = "skytrail.example.org",
    port: Annotated[int, typer.Option(help="Port of the webhook.", min=1, max=65535)] = 9443,
    eks_region: Annotated[str, typer.Option(help="Of an EKS cluster: its region.")] = "",
    eks_cluster: Annotated[str, typer.Option(help="Of an EKS cluster: as EKS calls it; default: the name.")] = "",
    reader: Annotated[str, typer.Option(help="Of an EKS cluster: ARN of the collector's principal.")] = "",
    external_id: Words = "",
    namespace: Namespace = "default",
    out: Directory = None,
    output: OutputOption = None,
) -> None:
    """Audit policy, webhook and API server flags of a cluster; for EKS a stream of its log.

    AKS and GKE bring their log with the set-ups of azure and gcp; README.md among the files says which way is whose.

    Examples:  skytrail onboard kubernetes --name production --host audit.example.org --out ./production   |
    skytrail onboard kubernetes --name shop --eks-region eu-central-1 --reader arn:aws:iam::123456789012:role/skytrail
    """
    source = kubernetes.KubernetesSource(
        name=name,
        host=host,
        port=port,
        region=eks_region,
        cluster=eks_cluster,
        reader=reader,
        external_id=external_id or (secrets.token_urlsafe(24) if eks_region else ""),
        namespace=namespace,
    )
    _deliver(kubernetes.set_up(source), out, output)


def _deliver(found: SetUp, directory: Path | None, output: Output | None) -> None:
    """Write or print the files; the steps go to the person."""
    files = (*found.files, SetupFile("skytrail-collector.toml", found.collector))
    if directory is not None:
        _write(directory, files)
    if output is not None:
        shown: list[Any] = [
            {"name": str(directory / one.name)} if directory else {"name": one.name, "text": one.text} for one in files
        ]
        emit_object({"files": shown, "steps": list(found.steps)}, output)
    elif directory is not None:
        for one in files:
            typer.echo(str(directory / one.name))
    else:
        for one in files:
            typer.echo(f"# ---- {one.name}\n{one.text}")
    for number, step in enumerate(found.steps, 1):
        say(f"{number}. {step}")


def _write(directory: Path, files: tuple[SetupFile, ...]) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if taken := [directory / one.name for one in files if (directory / one.name).exists()]:
            raise _taken(taken[0])
        for one in files:
            with (directory / one.name).open("x", encoding="utf-8") as file:
                file.write(one.text)
    except FileExistsError as exc:
        raise _taken(exc.filename) from exc
    except OSError as exc:
        raise ConfigError(
            f"writing set-up files: {exc.strerror}", where=str(directory), mend="choose a writable directory"
        ) from exc


def _taken(file: Path | str) -> ConfigError:
    what = "writing set-up files: one is there already"
    return ConfigError(what, where=str(file), mend="choose an empty directory")
