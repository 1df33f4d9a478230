"""A cloud that throttles, fails, loses answers and refuses, between a transport and moto."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.schema.errors import SourceRefused, SourceUnavailable
from tests.ingest.fakes import until
from tests.ingest.transports.aws.faulty import Fault, Faulty, faulty
from tests.ingest.transports.aws.servers import Aws
from tests.ingest.transports.contract import opened, pull
from tests.ingest.transports.s3_sqs.source import Source, nothing_more_until_dead

BODIES = [b"%d" % number for number in range(5)]
PARTIAL = b'{"Successful":[],"Failed":[{"Id":"0","SenderFault":false,"Code":"InternalError","Message":"later"}]}'
GONE = b'{"Successful":[],"Failed":[{"Id":"0","SenderFault":true,"Code":"ReceiptHandleIsInvalid","Message":"late"}]}'
PORTAL = b"<html><body>Log in first<br></body></html>"
KMS = (
    "User: arn:aws:sts::123456789012:assumed-role/trail-reader/skytrail is not authorized to perform: kms:Decrypt on "
    "resource: arn:aws:kms:eu-central-1:123456789012:key/1234 because no identity-based policy allows it"
)


@pytest.fixture
def proxy(aws: Aws) -> Iterator[Faulty]:
    with faulty(aws.endpoint) as proxy:
        yield proxy


@pytest.fixture
def source(aws: Aws, tmp_path: Path, proxy: Faulty) -> Source:
    source = Source.made(aws, tmp_path)
    source.endpoint = proxy.endpoint
    return source


THROTTLED = {"status": 503, "code": "SlowDown"}
EXPIRED = {"status": 400, "code": "ExpiredToken", "message": "The provided token has expired."}


@pytest.mark.parametrize(
    "fault",
    [
        Fault("ReceiveMessage", 4),
        Fault("ReceiveMessage", 4, 400, "ThrottlingException"),
        Fault("GET /trail", 5),
        Fault("GET /trail", 5, **THROTTLED),
        Fault("DeleteMessageBatch", 4),
        Fault("DeleteMessageBatch", 1, kind="applied"),
        Fault("DeleteMessageBatch", 1, 200, body=PARTIAL),
        Fault("ReceiveMessage", 1, **EXPIRED),
        Fault("GET /trail", 2, **EXPIRED),
        Fault("DeleteMessageBatch", 1, **EXPIRED),
        Fault("ReceiveMessage", 2, 200, body=PORTAL),
        Fault("GET /trail", 2, 200, body=PORTAL),
        Fault("DeleteMessageBatch", 2, 200, body=PORTAL),
    ],
    ids=lambda fault: f"{fault.asks} {fault.code} {fault.kind} {fault.body[:9].decode()}",
)
async def test_every_body_comes_and_every_message_goes_whatever_the_cloud_answers_for_a_while(
    source: Source, proxy: Faulty, fault: Fault
) -> None:
    await source.send(BODIES)
    proxy.faults.append(Fault(**vars(fault)))
    async with opened(source) as (_, iterator):
        found = await pull(iterator, len(BODIES))
        for each in found:
            await each.acknowledge()
        await until(lambda: source.counts() == (0, 0))
    assert {each.body for each in found} == set(BODIES)
    assert proxy.faults[0].times == 0


async def test_credentials_that_ended_are_looked_for_anew(
    source: Source, proxy: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    await source.send(BODIES[:1])
    async with opened(source) as (_, iterator):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "renewed")
        proxy.faults.append(Fault("GET /trail", 1, **EXPIRED))
        (found,) = await pull(iterator, 1)
        await found.acknowledge()
    assert proxy.asked("as renewed") >= 1


async def test_a_queue_that_refuses_for_a_while_is_told_once_and_asked_again(source: Source, proxy: Faulty) -> None:
    await source.send(BODIES[:1])
    message = "User: arn:aws:iam::1:role/x is not authorized to perform: sqs:ReceiveMessage on resource: arn:aws:sqs:q"
    proxy.faults.append(Fault("ReceiveMessage", 3, 403, "AccessDeniedException", message))
    async with opened(source) as (_, iterator):
        await pull(iterator, 1)
    (told,) = source.told.warnings
    assert isinstance(told, SourceRefused)
    assert "allow sqs:ReceiveMessage on arn:aws:sqs:q" in told.mend


async def test_a_key_that_may_not_be_used_is_named_with_the_permission_that_is_missing(
    source: Source, proxy: Faulty
) -> None:
    await source.send(BODIES[:1])
    proxy.faults.append(Fault("GET /trail", 99, 403, "AccessDenied", KMS))
    async with opened(source) as (_, iterator):
        assert await nothing_more_until_dead(iterator, source)
    told = source.told.warnings[0]
    assert isinstance(told, SourceRefused)
    assert "allow kms:Decrypt on arn:aws:kms:eu-central-1:123456789012:key/1234" in told.mend
    assert "in the policy of the key as well" in told.mend


async def test_a_receipt_that_is_no_longer_valid_is_told_and_not_asked_for_ever(source: Source, proxy: Faulty) -> None:
    source.purge()
    await source.send(BODIES[:1])
    proxy.faults.append(Fault("DeleteMessageBatch", 1, 200, body=GONE))
    async with opened(source) as (_, iterator):
        (found,) = await pull(iterator, 1)
        await found.acknowledge()
        await until(lambda: bool(source.told.warnings))
    assert "ReceiptHandleIsInvalid" in str(source.told.warnings[0])
    assert proxy.asked("DeleteMessageBatch") == 1


async def test_a_cloud_that_is_away_at_the_start_is_told(source: Source) -> None:
    source.endpoint = "http://127.0.0.1:1"
    with pytest.raises(SourceUnavailable):
        await source.open()
