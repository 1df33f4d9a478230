"""Reading a container: growing blobs, restarts, and logs that somebody tampered with."""

from __future__ import annotations

import datetime as dt
import gzip

import pytest

from ingest.schema.errors import ConfigError, SourceRefused, SourceUnavailable
from tests.ingest.transports.azure_blob.site import HOUR, NEXT_HOUR, Site, taken, taking

ONE, TWO, THREE = b'{"n": 1}\r\n', b'{"n": 2}\r\n', b'{"n": 3}\r\n'


async def test_the_origin_names_container_blob_and_etag(there: Site) -> None:
    await there.append(ONE)
    properties = await there.client.get_blob_client(HOUR).get_blob_properties()
    async with taking(there) as found:
        body = await found.next()
    account = there.azurite.account_url.removeprefix("http://")
    assert body.origin.locator == f"{account}/{there.client.container_name}/{HOUR}"
    assert body.origin.etag == properties.etag.strip('"')
    assert (body.origin.transport, body.origin.first_ordinal) == ("azure_blob", 0)


async def test_of_a_blob_that_grew_only_the_new_bytes_are_read(there: Site) -> None:
    await there.append(ONE + TWO)
    async with taking(there) as found:
        first = await found.next()
        await first.acknowledge()
        await there.append(THREE)
        second = await found.next()
        await second.acknowledge()
        assert (second.body, second.origin.first_ordinal) == (THREE, 2)
        assert second.origin.etag != first.origin.etag
        assert await found.quiet()


async def test_a_restart_goes_on_after_the_last_acknowledged_body(there: Site) -> None:
    await there.append(ONE)
    assert await taken(there) == [ONE]
    await there.append(TWO)
    await there.append(THREE, NEXT_HOUR)
    assert await taken(there) == [TWO, THREE]
    async with taking(there) as found:
        assert await found.quiet()
    assert there.warned == []


async def test_a_record_that_is_appended_in_two_steps_is_read_once_and_whole(there: Site) -> None:
    await there.append(ONE + TWO[:4])
    async with taking(there) as found:
        first = await found.next()
        assert await found.quiet()
        await there.append(TWO[4:])
        second = await found.next()
    assert [first.body, second.body] == [ONE, TWO]


async def test_an_unfinished_record_is_given_up_to_its_format_after_an_hour(there: Site) -> None:
    await there.append(ONE + TWO[:4])
    async with taking(there) as found:
        await found.next()
        there.ahead = dt.timedelta(hours=2)
        rest = await found.next()
    assert rest.body == TWO[:4]


async def test_a_large_blob_comes_in_bodies_cut_between_records(there: Site) -> None:
    record = b'{"text": "' + b"x" * 1000 + b'"}\n'
    for _ in range(3):
        await there.append(record * 3000)
    async with taking(there) as found:
        bodies = [await found.next() for _ in range(3)]
        assert await found.quiet()
    assert b"".join(each.body for each in bodies) == record * 9000
    lines = [each.body.count(b"\n") for each in bodies]
    assert [each.origin.first_ordinal for each in bodies] == [0, lines[0], lines[0] + lines[1]]
    assert all(each.body.endswith(b"}\n") and len(each.body) <= 4 * 1024 * 1024 for each in bodies)


async def test_gzip_and_documents_come_whole_and_again_when_they_changed(there: Site) -> None:
    packed = gzip.compress(ONE + TWO)
    await there.put(packed, "a.json.gz")
    await there.put(b'{\n "records": []\n}', "b.json")
    assert await taken(there) == [packed, b'{\n "records": []\n}']
    await there.put(b'{\n "records": [1]\n}', "b.json")
    assert await taken(there) == [b'{\n "records": [1]\n}']
    assert there.warned == []


async def test_a_document_above_the_limit_is_told_once_and_hides_no_other_blob(there: Site) -> None:
    await there.put(b"{\n" + b" " * 3000 + b"}", "a.json")
    await there.append(ONE)
    assert await taken(there, limit=2000) == [ONE]
    (told,) = there.warned
    assert isinstance(told, SourceRefused)
    assert told.where.endswith("/a.json")
    assert "max_inflated_bytes" in told.mend


async def test_only_blobs_of_the_prefix_and_since_the_time_are_read(there: Site) -> None:
    await there.append(ONE)
    await there.append(TWO, "other/PT1H.json")
    assert await taken(there, prefix="resourceId=") == [ONE]
    tomorrow = (dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).isoformat()
    async with taking(there, since=tomorrow) as found:
        assert await found.quiet()
        await there.append(THREE)  # begun before: it goes on
        body = await found.next()
    assert body.body == THREE


async def test_a_log_that_was_deleted_is_told_with_what_may_be_lost(there: Site) -> None:
    await there.append(ONE)
    async with taking(there) as found:
        body = await found.next()
        await body.acknowledge()
        assert await found.quiet()
        await there.client.get_blob_client(HOUR).delete_blob()
        assert await found.quiet()
    (told,) = there.warned
    assert isinstance(told, SourceUnavailable)
    assert "vanished" in told.what
    assert told.where.endswith(HOUR)
    assert await taken(there) == []
    assert len(there.warned) == 1


async def test_a_log_that_was_deleted_while_the_collector_was_down_is_told_with_its_unread_bytes(there: Site) -> None:
    record = b'{"text": "' + b"x" * 1000 + b'"}\n'
    for _ in range(2):
        await there.append(record * 3000)
    async with taking(there) as found:
        first, _ = await found.next(), await found.next()
        await first.acknowledge()
    await there.client.get_blob_client(HOUR).delete_blob()
    assert await taken(there) == []
    (told,) = there.warned
    assert f"{6000 * len(record) - len(first.body)} bytes unread" in told.what


async def test_an_old_blob_whose_end_waits_for_kafka_through_further_looks_did_not_vanish(there: Site) -> None:
    record = b'{"text": "' + b"x" * 1000 + b'"}\n'
    for _ in range(2):
        await there.append(record * 3000)
    there.ahead = dt.timedelta(days=3)
    async with taking(there) as found:
        first, second = await found.next(), await found.next()
        await first.acknowledge()
        assert await found.quiet()
        await second.acknowledge()
        assert await found.quiet()
    assert there.warned == []
    assert await taken(there) == []


async def test_an_old_blob_that_a_lifecycle_rule_deletes_is_no_trouble(there: Site) -> None:
    await there.append(ONE)
    assert await taken(there) == [ONE]
    await there.client.get_blob_client(HOUR).delete_blob()
    there.ahead = dt.timedelta(days=3)
    assert await taken(there) == []
    assert there.warned == []


@pytest.mark.parametrize("other", [b"", TWO, TWO + TWO + TWO], ids=["empty", "shorter", "longer"])
async def test_a_log_that_was_replaced_is_told_and_read_from_its_start(there: Site, other: bytes) -> None:
    await there.append(ONE + ONE)
    assert await taken(there) == [ONE + ONE]
    await there.client.get_blob_client(HOUR).delete_blob()
    await there.client.get_blob_client(HOUR).create_append_blob()
    if other:
        await there.append(other)
    assert await taken(there) == [other][: len(other)]
    (told,) = there.warned
    assert isinstance(told, SourceRefused)
    assert f"it has {len(other)} bytes that do not go on from the {2 * len(ONE)}" in told.what
    assert "find out who" in told.mend


@pytest.mark.parametrize("how", ["deleted", "overwritten"])
async def test_a_blob_that_goes_before_its_end_was_read_is_told_however_old_it_is(
    there: Site, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    line = b'{"n": "%s"}\n' % (b"x" * 1000)
    await there.put(line * 9000, "large.json")
    async with taking(there) as found:
        first = await found.next()
        await first.acknowledge()
        await found.next()
    monkeypatch.setattr("ingest.transports.azure_blob.transport._WATCHED_S", 0.0)
    gone = how == "deleted"
    if gone:
        await there.client.get_blob_client("large.json").delete_blob()
    else:
        await there.put(ONE * 200_000, "large.json")
    taken_again = b"".join(await taken(there))
    assert taken_again == (b"" if gone else ONE * 200_000)
    (told,) = there.warned
    left = 9000 * len(line) - len(first.body)
    assert f"with {left} bytes unread" in str(told) or f"from the {len(first.body)} that were read" in str(told)
    assert await taken(there) == []
    assert there.warned == [told]


async def test_a_change_of_metadata_alone_repeats_nothing(there: Site) -> None:
    await there.append(ONE)
    assert await taken(there) == [ONE]
    await there.client.get_blob_client(HOUR).set_blob_metadata({"a": "b"})
    assert await taken(there) == []
    await there.append(TWO)
    assert await taken(there) == [TWO]


async def test_a_body_that_is_given_up_is_told_and_does_not_come_again(there: Site) -> None:
    await there.append(ONE)
    async with taking(there) as found:
        body = await found.next()
        await body.reject("poison", retry=False)
    assert await taken(there) == []
    (told,) = there.warned
    assert "given up: poison" in str(told)


async def test_many_blobs_come_in_the_order_of_the_listing_without_a_second_time(there: Site) -> None:
    for number in range(30):
        await there.append(b'{"n": %d}\n' % number, f"{number:03}")
    assert await taken(there, read_ahead=3) == [b'{"n": %d}\n' % number for number in range(30)]


async def test_a_container_that_does_not_exist_is_refused_at_the_start(there: Site) -> None:
    with pytest.raises(SourceRefused, match="ContainerNotFound"):
        await there.open(container_url=f"{there.azurite.account_url}/misspelt")


async def test_a_container_that_is_deleted_is_told_and_read_again_when_it_is_back(
    there: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.transports.azure_blob.transport._REFUSED_PAUSE_S", 0.2)
    async with taking(there) as found:
        await there.client.delete_container()
        assert await found.quiet()
        await there.client.create_container()
        await there.append(ONE)
        body = await found.next()
    assert body.body == ONE
    assert [str(each).partition(",")[0] for each in there.warned] == [str(there.warned[0]).partition(",")[0]]
    assert "ContainerNotFound" in there.warned[0].what


async def test_a_checkpoint_that_is_none_is_refused_with_what_to_do(there: Site) -> None:
    file = there.directory / "marks"
    file.write_bytes(b"no database at all, but long enough to be taken for one" * 40)
    with pytest.raises(ConfigError, match="opening checkpoint") as refused:
        await there.open(checkpoint_file=file)
    assert "move it away" in refused.value.mend
