"""The calls that ordinary work makes, with the parameters that AWS would record for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from skytrail.demo.cloudtrail import Call
from skytrail.demo.company import REGION, Account, Service
from skytrail.demo.identifiers import Identifiers

Make = Callable[[Identifiers, Account], Call]
"""Makes one call for an account."""


@dataclass(frozen=True, slots=True)
class Mix:
    """Calls and how often each is made, relative to the others."""

    makes: tuple[Make, ...]
    weights: tuple[float, ...]


def mix(*pairs: tuple[float, Make]) -> Mix:
    """A mix of (weight, call) pairs."""
    return Mix(tuple(make for _, make in pairs), tuple(weight for weight, _ in pairs))


def reads(service: str, *names: str) -> tuple[tuple[float, Make], ...]:
    """Describing and listing calls without telling parameters, equally often."""
    return tuple((1.0, _plain(service, name)) for name in names)


def _plain(service: str, name: str) -> Make:
    return lambda _ids, _account: Call(service, name)


def s3_object(bucket: str, prefix: str, name: str) -> Make:
    """A data event on an object of a bucket: `GetObject`, `PutObject` or `HeadObject`."""
    arn = f"arn:aws:s3:::{bucket}"

    def make(ids: Identifiers, _account: Account) -> Call:
        key = f"{prefix}/{ids.hexadecimal(2)}/{ids.hexadecimal(12)}.json"
        write = name == "PutObject"
        return Call(
            "s3",
            name,
            read_only=not write,
            data=True,
            parameters={"bucketName": bucket, "Host": f"{bucket}.s3.{REGION}.amazonaws.com", "key": key},
            response={"x-amz-server-side-encryption": "AES256"} if write else None,
            additional={
                "SignatureVersion": "SigV4",
                "CipherSuite": "TLS_AES_128_GCM_SHA256",
                "bytesTransferredIn": 2048 if write else 0,
                "AuthenticationMethod": "AuthHeader",
                "x-amz-id-2": ids.token(76),
                "bytesTransferredOut": 0 if write else 4096,
            },
            resources=((f"{arn}/{key}", "AWS::S3::Object"), (arn, "AWS::S3::Bucket")),
        )

    return make


def s3_list(bucket: str, prefix: str) -> Make:
    """Listing a bucket, a data event."""

    def make(_ids: Identifiers, _account: Account) -> Call:
        return Call(
            "s3",
            "ListObjects",
            data=True,
            parameters={"list-type": "2", "bucketName": bucket, "prefix": prefix, "encoding-type": "url"},
            resources=((f"arn:aws:s3:::{bucket}", "AWS::S3::Bucket"),),
        )

    return make


def dynamodb(table: str, name: str) -> Make:
    """A data event on a table."""

    def make(ids: Identifiers, account: Account) -> Call:
        arn = f"arn:aws:dynamodb:{REGION}:{account.number}:table/{table}"
        return Call(
            "dynamodb",
            name,
            read_only=name in ("GetItem", "Query"),
            data=True,
            parameters={"tableName": table, "key": {"id": ids.hexadecimal(12)}},
            resources=((arn, "AWS::DynamoDB::Table"),),
        )

    return make


def secret(service: Service, name: str = "GetSecretValue") -> Make:
    """A service reads its own secret."""

    def make(_ids: Identifiers, account: Account) -> Call:
        arn = f"arn:aws:secretsmanager:{REGION}:{account.number}:secret:{service.secret}-Qx7Lp2"
        return Call("secretsmanager", name, parameters={"secretId": arn})

    return make


def kms(name: str, key: str, context: str) -> Make:
    """A service uses a key; the encryption context names for what."""

    def make(_ids: Identifiers, account: Account) -> Call:
        arn = f"arn:aws:kms:{REGION}:{account.number}:key/{key}"
        return Call(
            "kms",
            name,
            parameters={"encryptionContext": {context: f"arn:{context}"}, "keyId": arn},
            resources=((arn, "AWS::KMS::Key"),),
        )

    return make


def container_image(service: Service, name: str) -> Make:
    """A node fetches the image of a service."""

    def make(ids: Identifiers, account: Account) -> Call:
        arn = f"arn:aws:ecr:{REGION}:{account.number}:repository/{service.name}"
        parameters = {"registryId": account.number, "repositoryName": service.name}
        if name == "BatchGetImage":
            parameters["imageIds"] = f"sha256:{ids.hexadecimal(64)}"
        return Call("ecr", name, parameters=parameters, resources=((arn, "AWS::ECR::Repository"),))

    return make


def updates(service: str, name: str, target: str) -> Make:
    """A changing call of a deployment on the thing named `target`."""

    def make(ids: Identifiers, account: Account) -> Call:
        return Call(
            service,
            name,
            read_only=False,
            parameters={"name": target, "clientToken": ids.uuid()},
            response={"name": target, "arn": f"arn:aws:{service}:{REGION}:{account.number}:{target}"},
        )

    return make
