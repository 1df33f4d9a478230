"""A collector of the format `auto`: each record goes to its own topic, what nobody knows to the dead letters."""

from __future__ import annotations

import json

import pytest

from ingest.collector import Collector, Identity
from ingest.formats.recognition import list_keys
from ingest.formats.registry import all_formats, format_named
from ingest.schema.envelope import MAX_RECORD_BYTES
from ingest.transports.contract import Transport
from ingest.unpacking import unpack
from tests.ingest.fakes import EAGER, NOW, MemoryPublisher, MemoryTransport
from tests.ingest.formats.conformity import Golden
from tests.ingest.test_collector import Continued, Objects


def collector(transport: Transport, publisher: MemoryPublisher) -> Collector:
    return Collector(
        Identity("hub", "acme", None),
        transport,
        publisher,
        put_object=Objects(),
        clock=lambda: NOW,
        backoff=EAGER,
    )


def record(name: str, case: str) -> bytes:
    return Golden(format_named(name)).records(case)[0]


def hub_body(*records: bytes) -> bytes:
    return b'{"records": [' + b", ".join(records) + b"]}"


ACTIVITY = b'{"time":"2026-11-22T07:00:00Z","resourceId":"/SUBSCRIPTIONS/S/R","category":"Administrative",\
"operationName":"MICROSOFT.KEYVAULT/VAULTS/DELETE","resultType":"Success"}'
SIGN_IN = b'{"time":"2026-11-22T07:00:01Z","category":"SignInLogs","operationName":"Sign-in activity",\
"properties":{"id":"1","userPrincipalName":"ann@example.com"}}'
AUDIT = b'{"time":"2026-11-22T07:00:02Z","category":"AuditLogs","operationName":"Add user","properties":{"id":"2"}}'
VAULT = b'{"time":"2026-11-22T07:00:03Z","category":"AuditEvent","operationName":"SecretGet",\
"resourceId":"/SUBSCRIPTIONS/S/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/V","properties":{}}'
_EVENT = {
    "kind": "Event",
    "apiVersion": "audit.k8s.io/v1",
    "auditID": "3",
    "stage": "ResponseComplete",
    "verb": "get",
    "requestURI": "/api/v1/namespaces/default/secrets/a",
    "stageTimestamp": "2026-11-22T07:00:04Z",
}
AKS = json.dumps(
    {
        "time": "2026-11-22T07:00:04Z",
        "category": "kube-audit",
        "operationName": "Microsoft.ContainerService/managedClusters/diagnosticLogs/Read",
        "resourceId": "/SUBSCRIPTIONS/S/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/C",
        "properties": {"log": json.dumps(_EVENT), "stream": "stdout", "pod": "kube-apiserver-1"},
    }
).encode()
METRIC = b'{"time":"2026-11-22T07:00:05Z","count":4,"total":1,"metricName":"requests"}'


async def test_an_event_hub_body_of_several_categories_goes_to_the_formats_of_its_records() -> None:
    publisher = MemoryPublisher()
    body = hub_body(ACTIVITY, ACTIVITY, SIGN_IN, AKS, METRIC, VAULT, AUDIT)
    counts = await collector(MemoryTransport(body), publisher).run()
    assert [(each.header.format, each.header.origin.first_ordinal, each.records) for each in publisher.envelopes] == [
        ("azure.activitylogs", 0, (ACTIVITY, ACTIVITY)),
        ("azure.signinlogs", 2, (SIGN_IN,)),
        ("kubernetes.audit", 3, (AKS,)),
        ("azure.platformlogs", 5, (VAULT,)),
        ("azure.auditlogs", 6, (AUDIT,)),
    ]
    assert publisher.envelopes[0].repeats == {1: 1}
    assert (counts.received, counts.published, counts.dead_lettered) == (7, 6, 1)


async def test_a_record_that_nobody_knows_is_a_dead_letter_that_says_so() -> None:
    publisher = MemoryPublisher()
    await collector(MemoryTransport(hub_body(SIGN_IN, METRIC, METRIC)), publisher).run()
    assert [(each.reason, each.body, each.size, each.repeat) for each in publisher.letters] == [
        ("UnrecognisedRecord", METRIC, len(METRIC), 0),
        ("UnrecognisedRecord", METRIC, len(METRIC), 1),
    ]
    letter = publisher.letters[1]
    assert letter.header is not None
    assert (letter.header.format, letter.header.collector, letter.header.origin.first_ordinal) == ("auto", "hub", 2)
    assert "no format recognises it" in letter.message
    assert "body-0 record 2" in letter.message


async def test_a_record_that_has_an_empty_list_where_wrappers_have_their_records_is_no_empty_body() -> None:
    publisher, body = MemoryPublisher(), b'{"type":"heartbeat","events":[]}'
    await collector(MemoryTransport(body), publisher).run()
    assert [(each.reason, each.body) for each in publisher.letters] == [("UnrecognisedRecord", body)]


async def test_records_before_a_fault_go_to_their_formats_and_the_body_is_one_letter() -> None:
    publisher, body = MemoryPublisher(), hub_body(SIGN_IN, AKS)[:-2] + b", {"
    await collector(MemoryTransport(body), publisher).run()
    assert [each.header.format for each in publisher.envelopes] == ["azure.signinlogs", "kubernetes.audit"]
    assert [(each.reason, each.body) for each in publisher.letters] == [("MalformedBody", body)]


async def test_lines_that_nobody_knows_are_one_letter_of_the_whole_body() -> None:
    publisher = MemoryPublisher()
    await collector(MemoryTransport(b"<34>1 a line of syslog\n<34>1 another\n"), publisher).run()
    assert not publisher.envelopes
    assert ["no format recognises it" in each.message for each in publisher.letters] == [True]


async def test_a_file_of_flow_logs_in_parts_keeps_its_format_and_its_names() -> None:
    line = b"1.2.3.4 5.6.7.8 1795334519"
    publisher = MemoryPublisher()
    await collector(Continued(b"srcaddr dstaddr end", line, line), publisher).run()
    said = (("fields", "srcaddr dstaddr end"),)
    assert [(each.header.format, each.header.context) for each in publisher.envelopes] == [("aws.vpcflow", said)] * 2


async def test_a_record_above_the_limit_goes_to_the_archive_under_its_format() -> None:
    huge = SIGN_IN.replace(b'"1"', b'"' + b"x" * MAX_RECORD_BYTES + b'"')
    publisher = MemoryPublisher()
    await collector(MemoryTransport(hub_body(huge, AUDIT)), publisher).run()
    assert [each.header.format for each in publisher.envelopes] == ["azure.auditlogs"]
    (letter,) = publisher.letters
    assert letter.header is not None
    assert (letter.reason, letter.header.format, letter.body) == ("OversizedRecord", "azure.signinlogs", b"")


async def test_golden_bodies_of_every_format_through_one_collector_arrive_as_if_each_had_its_own() -> None:
    """What is read of an envelope is what its format reads of the body."""
    for name, format_ in all_formats().items():
        golden = Golden(format_)
        for case in golden.cases():
            publisher = MemoryPublisher()
            await collector(MemoryTransport(golden.body(case)), publisher).run()
            letters = [each.body for each in publisher.letters]
            documents = []
            for each in publisher.envelopes:
                assert each.header.format == name, case
                reader = format_.within(each.header.context)
                documents += [reader.normalise(one) for one in each.records]
            wanted = [
                document
                for one, document in zip(golden.records(case), golden.all_expected(case), strict=True)
                if one not in letters
            ]
            assert documents == wanted, case


async def test_an_event_with_a_list_under_the_key_of_a_wrapper_is_one_event_with_all_it_says() -> None:
    for key in list_keys():
        event = json.loads(ACTIVITY) | {key: [{"x": 1}, {"y": 2}]}
        whole = json.dumps(event).encode()
        publisher = MemoryPublisher()
        counts = await collector(MemoryTransport(whole), publisher).run()
        assert [each.records for each in publisher.envelopes] == [(whole,)], key
        assert counts.dead_lettered == 0


async def test_what_nobody_knows_with_such_a_list_is_one_dead_letter_with_all_its_bytes() -> None:
    whole = b'{"metric":"cpu","value":[1,2,3],"host":"a"}'
    publisher = MemoryPublisher()
    await collector(MemoryTransport(whole), publisher).run()
    assert [letter.body for letter in publisher.letters] == [whole]


async def test_records_beside_which_a_wrapper_says_something_unknown_go_on_and_the_body_is_kept() -> None:
    body = b'{"records":[' + ACTIVITY + b"," + SIGN_IN + b'],"tenantNote":"x"}'
    publisher = MemoryPublisher()
    counts = await collector(MemoryTransport(body), publisher).run()
    assert [each.records for each in publisher.envelopes] == [(ACTIVITY,), (SIGN_IN,)]
    (letter,) = publisher.letters
    assert letter.body == body
    assert "tenantNote" in letter.message
    assert counts.published == 2


def subscription(group: str, *events: object) -> bytes:
    listed = [
        {"id": str(at), "timestamp": 1_763_798_499_686, "message": json.dumps(one)} for at, one in enumerate(events)
    ]
    beside = {"messageType": "DATA_MESSAGE", "owner": "111122223333", "logGroup": group, "logStream": "s"}
    return json.dumps({**beside, "subscriptionFilters": ["f"], "logEvents": listed}).encode()


@pytest.mark.parametrize("named", [None, "kubernetes.audit"])
@pytest.mark.parametrize("between", [b"", b"\n"])
async def test_messages_of_log_groups_one_after_another_keep_what_each_says_of_its_records(
    named: str | None, between: bytes
) -> None:
    eks = [subscription(f"/aws/eks/{name}/cluster", _EVENT, _EVENT) for name in ("shop", "shop", "garden")]
    found = unpack(between.join(eks), format_named(named) if named else None, 10**6)
    assert found.fault is None
    documents = [
        run.format.within(run.context).normalise(found.records[ordinal])
        for run in found.runs
        if run.format
        for ordinal in range(run.start, run.end)
    ]
    assert [each["orchestrator"]["cluster"]["name"] for each in documents] == ["shop"] * 4 + ["garden"] * 2
    assert [each["cloud"]["account"]["id"] for each in documents] == ["111122223333"] * 6
    assert [(run.start, run.end) for run in found.runs] == [(0, 4), (4, 6)]


async def test_what_one_message_says_is_said_of_no_other() -> None:
    plain = json.dumps(_EVENT).encode()
    body = subscription("/aws/eks/shop/cluster", _EVENT) + subscription("/aws/eks/garden/cluster", _EVENT) + plain
    publisher = MemoryPublisher()
    await collector(MemoryTransport(body), publisher).run()
    said = [dict(each.header.context).get("log_group", "") for each in publisher.envelopes]
    assert said == ["/aws/eks/shop/cluster", "/aws/eks/garden/cluster", ""]


async def test_messages_of_which_the_last_is_cut_off_give_their_records_and_the_body_is_kept() -> None:
    body = subscription("/aws/eks/shop/cluster", _EVENT) + subscription("/aws/eks/shop/cluster", _EVENT, _EVENT)[:-600]
    publisher = MemoryPublisher()
    counts = await collector(MemoryTransport(body), publisher).run()
    assert counts.published >= 1
    assert [letter.body for letter in publisher.letters] == [body]
