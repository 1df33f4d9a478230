"""The contract of the index writer: every operation is broken both "lost" and "applied but reported failed"."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ingest.schema.errors import IndexUnavailable
from storage.index.bulk import BulkItem, Mend
from storage.index.client import connect
from storage.index.outcomes import Fate, all_kept, fate, read_items
from storage.index.writer import MAX_DOCUMENT_BYTES, Writer
from tests.storage.index.fake_elasticsearch import FakeElasticsearch, Fault, serving

INDEX = "logs-aws.cloudtrail-default-2026.11.22"


class Listener:
    """Remembers what the writer told."""

    def __init__(self) -> None:
        self.alarms: list[IndexUnavailable] = []
        self.retries: list[tuple[str, int, float]] = []
        self.documents = 0
        self.heard = asyncio.Event()

    def sent(self, documents: int, size: int, seconds: float) -> None:
        assert size > 0
        assert seconds >= 0
        self.documents += documents

    def retrying(self, cause: str, documents: int, pause_s: float) -> None:
        self.retries.append((cause, documents, pause_s))
        if len(self.retries) == 3:
            self.heard.set()

    def alarm(self, error: IndexUnavailable) -> None:
        self.alarms.append(error)


def items(*ids: str, body: bytes = b'{"a":1}') -> list[BulkItem]:
    return [BulkItem(INDEX, id_, body) for id_ in ids]


@asynccontextmanager
async def writing(
    fake: FakeElasticsearch, listener: Listener | None = None, *, mend: Mend | None = None, bulk_bytes: int = 2**20
) -> AsyncIterator[Writer]:
    async def no_wait(seconds: float) -> None:
        assert 0 <= seconds <= 60
        await asyncio.sleep(0)

    async with serving(fake) as settings:
        client = connect(settings, "indexer")
        try:
            yield Writer(client, observer=listener, mend=mend, bulk_bytes=bulk_bytes, sleep=no_wait, chance=lambda: 0.5)
        finally:
            await client.close()


async def test_documents_are_created_once_and_known_afterwards() -> None:
    fake = FakeElasticsearch()
    async with writing(fake) as writer:
        first = await writer.write(items("a", "b"))
        again = await writer.write(items("a", "b", "c"))
    assert (first.created, first.duplicate) == ([0, 1], [])
    assert (again.created, again.duplicate, again.uncertain) == ([2], [0, 1], [])
    assert fake.queries[0]["pipeline"] == "_none"


async def test_nothing_to_write_is_no_request() -> None:
    fake = FakeElasticsearch()
    async with writing(fake) as writer:
        outcome = await writer.write([])
    assert fake.requests == []
    assert outcome.created == []


async def test_a_lost_request_is_sent_again_and_its_documents_count_as_created() -> None:
    fake = FakeElasticsearch(faults=deque(["lost", "lost"]))
    async with writing(fake) as writer:
        outcome = await writer.write(items("a", "b"))
    assert outcome.created == [0, 1]
    assert len(fake.requests) == 3


async def test_documents_of_an_applied_but_unanswered_request_are_uncertain_not_duplicates() -> None:
    fake = FakeElasticsearch(faults=deque(["applied"]))
    listener = Listener()
    async with writing(fake, listener) as writer:
        outcome = await writer.write(items("a", "b"))
    assert (outcome.created, outcome.duplicate, outcome.uncertain) == ([], [], [0, 1])
    assert len(fake.documents) == 2
    assert "writing to Elasticsearch" in listener.alarms[0].what


async def test_a_document_applied_under_an_item_error_is_uncertain() -> None:
    fake = FakeElasticsearch(told={"b": deque(["applied"])})
    async with writing(fake) as writer:
        outcome = await writer.write(items("a", "b", "c"))
    assert (outcome.created, outcome.uncertain) == ([0, 2], [1])


async def test_doubt_does_not_outlive_the_call() -> None:
    fake = FakeElasticsearch(faults=deque(["applied"]))
    async with writing(fake) as writer:
        await writer.write(items("a"))
        outcome = await writer.write(items("a"))
    assert (outcome.duplicate, outcome.uncertain) == ([0], [])


@pytest.mark.parametrize("fault", [429, 500, 502, 503, 504, 401, 403, 404, (429, "cluster_block_exception"), 405])
async def test_a_request_refused_for_a_while_is_retried_and_never_refused(fault: Fault) -> None:
    fake = FakeElasticsearch(faults=deque([fault] * 5))
    listener = Listener()
    async with writing(fake, listener) as writer:
        outcome = await writer.write(items("a", "b"))
    assert outcome.created == [0, 1]
    assert outcome.refused == []
    assert len(listener.retries) == 5


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (401, "correct elasticsearch.<identity>"),
        ((403, "security_exception"), "rights"),
        (404, "action.auto_create_index"),
        ((403, "cluster_block_exception"), "_cluster/health"),
        ((400, "index_closed_exception"), "_open"),
        ((400, "validation_exception"), "shard"),
    ],
)
async def test_documents_that_are_not_at_fault_are_retried_and_someone_is_told_what_to_do(
    fault: Fault, word: str
) -> None:
    fake = FakeElasticsearch(told={"b": deque([fault, fault])})
    listener = Listener()
    async with writing(fake, listener) as writer:
        outcome = await writer.write(items("a", "b", "c"))
    assert outcome.created == [0, 1, 2]
    assert fake.requests == [["a", "b", "c"], ["b"], ["b"]]
    assert word in listener.alarms[0].mend
    assert INDEX in listener.alarms[0].where
    assert {cause for cause, _, _ in listener.retries} == {"blocked"}


async def test_a_lone_bad_document_does_not_harm_its_neighbours() -> None:
    fake = FakeElasticsearch(refuse=b"poison")
    async with writing(fake) as writer:
        outcome = await writer.write([*items("a"), *items("b", body=b'{"x":"poison"}'), *items("c")])
    assert outcome.created == [0, 2]
    assert outcome.refused == [(1, "document_parsing_exception", "told so")]


async def test_a_request_refused_as_malformed_is_halved_until_the_culprit_stands_alone() -> None:
    fake = FakeElasticsearch(faults=deque([400, 400, 400]))
    async with writing(fake) as writer:
        outcome = await writer.write(items("a", "b", "c", "d"))
    assert fake.requests[:3] == [["a", "b", "c", "d"], ["a", "b"], ["a"]]
    assert outcome.created == [1, 2, 3]
    assert [position for position, _, _ in outcome.refused] == [0]


async def test_a_request_too_large_is_halved_and_a_single_document_too_large_is_refused() -> None:
    fake = FakeElasticsearch(max_bytes=400)
    async with writing(fake) as writer:
        outcome = await writer.write([*items("a", "b", "c"), *items("d", body=b'{"a":"' + b"x" * 500 + b'"}')])
    assert outcome.created == [0, 1, 2]
    assert [(position, kind) for position, kind, _ in outcome.refused] == [(3, "content_too_long_exception")]


async def test_a_document_above_the_limit_is_refused_unsent() -> None:
    fake = FakeElasticsearch()
    async with writing(fake) as writer:
        outcome = await writer.write([*items("a"), *items("b", body=b" " * (MAX_DOCUMENT_BYTES + 1))])
    assert fake.requests == [["a"]]
    assert outcome.refused[0][:2] == (1, "document_too_large")


async def test_bodies_are_cut_into_requests_of_bounded_size() -> None:
    fake = FakeElasticsearch()
    async with writing(fake, bulk_bytes=1000) as writer:
        outcome = await writer.write(items(*(f"id{i}" for i in range(50)), body=b'{"a":"' + b"x" * 100 + b'"}'))
    assert outcome.created == list(range(50))
    assert {len(ids) for ids in fake.requests} <= {1, 2, 3, 4}


async def test_no_more_bulks_are_in_flight_than_allowed_and_fewer_after_overload() -> None:
    fake = FakeElasticsearch(faults=deque([429]), delay_s=0.01)
    async with writing(fake, bulk_bytes=300) as writer:
        await writer.write(items(*(f"id{i}" for i in range(12))))
        assert writer.pace.in_flight == 2
    assert fake.most_running == 2


async def test_overload_shrinks_requests_and_success_lets_them_grow_again() -> None:
    fake = FakeElasticsearch(faults=deque([429] * 4))
    async with writing(fake) as writer:
        await writer.write(items("a"))
        shrunk = writer.pace.bulk_bytes
        for _ in range(40):
            await writer.write(items("a"))
        assert shrunk < 2**19
        assert writer.pace.bulk_bytes == 2**20


async def test_a_retry_of_some_documents_does_not_send_the_others_again() -> None:
    fake = FakeElasticsearch(told={"b": deque([429, 503]), "c": deque([(503, "cluster_block_exception")])})
    async with writing(fake) as writer:
        outcome = await writer.write(items("a", "b", "c"))
    assert fake.requests == [["a", "b", "c"], ["b", "c"], ["b"]]
    assert outcome.created == [0, 1, 2]


async def test_a_refused_document_is_mended_once_and_then_created() -> None:
    fake = FakeElasticsearch(refuse=b"bad")
    seen: list[str] = []

    def mend(body: bytes, reason: str) -> bytes | None:
        seen.append(reason)
        return body.replace(b"bad", b"good")

    async with writing(fake, mend=mend) as writer:
        outcome = await writer.write([*items("a"), *items("b", body=b'{"x":"bad"}')])
    assert (outcome.created, outcome.mended, outcome.refused) == ([0, 1], [1], [])
    assert seen == ["told so"]


async def test_a_document_that_can_not_be_mended_is_refused_once() -> None:
    fake = FakeElasticsearch(refuse=b"bad")
    async with writing(fake, mend=lambda body, _: body + b" ") as writer:
        outcome = await writer.write(items("a", body=b'{"x":"bad"}'))
    assert len(fake.requests) == 2
    assert [position for position, _, _ in outcome.refused] == [0]
    assert outcome.mended == []


async def test_many_refusals_in_one_request_alarm_someone() -> None:
    fake = FakeElasticsearch(refuse=b"bad")
    listener = Listener()
    async with writing(fake, listener) as writer:
        outcome = await writer.write(items(*(f"id{i}" for i in range(30)), body=b'{"x":"bad"}'))
    assert len(outcome.refused) == 30
    assert "30 of 30 documents refused" in listener.alarms[0].what


async def test_an_unreachable_server_is_retried_until_the_caller_gives_up() -> None:
    fake = FakeElasticsearch()
    async with serving(fake) as settings:
        pass
    client = connect(settings, "indexer")
    listener = Listener()
    writer = Writer(client, observer=listener, sleep=lambda _: asyncio.sleep(0))
    task = asyncio.create_task(writer.write(items("a")))
    await asyncio.wait_for(listener.heard.wait(), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await client.close()
    assert "skytrail up" in listener.alarms[0].mend


async def test_documents_that_never_reached_the_server_are_not_in_doubt() -> None:
    fake = FakeElasticsearch(documents={(INDEX, "a"): {}})
    async with serving(fake) as settings:
        client = connect(settings.model_copy(update={"url": "http://127.0.0.1:9"}), "indexer")
        other = connect(settings, "indexer")

        async def comes_back(_: float) -> None:
            writer._client = other

        writer = Writer(client, sleep=comes_back)
        outcome = await writer.write(items("a"))
        await client.close()
        await other.close()
    assert (outcome.duplicate, outcome.uncertain) == ([0], [])


async def test_updates_are_applied_and_a_conflict_is_tried_again() -> None:
    fake = FakeElasticsearch(told={"s": deque([409])})
    body = b'{"doc":{"n":2},"upsert":{"n":1}}'
    async with writing(fake) as writer:
        outcome = await writer.write([BulkItem("skytrail-alert-state", "s", body, "update")])
    assert outcome.created == [0]
    assert fake.documents[("skytrail-alert-state", "s")] == {"n": 1}
    assert len(fake.requests) == 2


async def test_parallel_calls_share_the_limits_and_keep_their_outcomes_apart() -> None:
    fake = FakeElasticsearch(delay_s=0.005)
    async with writing(fake) as writer:
        outcomes = await asyncio.gather(*(writer.write(items(f"a{i}", "same")) for i in range(6)))
    assert fake.most_running == 2
    assert sorted(len(outcome.created) for outcome in outcomes) == [1, 1, 1, 1, 1, 2]
    assert sum(len(outcome.duplicate) for outcome in outcomes) == 5


@pytest.mark.parametrize(
    "answer", [{}, {"errors": False, "items": []}, {"errors": False, "items": [{"create": {"status": 201}}] * 2}]
)
def test_an_answer_that_does_not_belong_to_the_request_is_no_success(answer) -> None:
    assert not all_kept(answer, 1)
    assert read_items(answer, 1) is None


def test_a_document_that_went_into_the_failure_store_was_not_kept() -> None:
    answer = {"errors": False, "items": [{"create": {"status": 201, "failure_store": "used"}}]}
    assert not all_kept(answer, 1)
    told = read_items(answer, 1)
    assert told is not None
    assert fate(told[0]) is Fate.REFUSED
