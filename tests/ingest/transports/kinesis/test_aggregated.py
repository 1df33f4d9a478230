"""What a producer's library put into one record comes out again, byte by byte; anything else stays what it is."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from ingest.transports.kinesis.aggregated import taken_apart
from tests.ingest.transports.contract import opened, pull
from tests.ingest.transports.kinesis.source import Source
from tests.ingest.transports.kinesis.test_kinesis import FIRST, collected, numbered

MAGIC = b"\xf3\x89\x9a\xc2"
_FIELD = descriptor_pb2.FieldDescriptorProto


def _message(name: str, *fields: tuple[str, int, int, int, str]) -> descriptor_pb2.DescriptorProto:
    made = descriptor_pb2.DescriptorProto(name=name)
    for field, number, kind, label, of in fields:
        made.field.add(name=field, number=number, type=kind, label=label, type_name=of or None)  # type: ignore[arg-type]
    return made


def _type() -> Any:
    """The message as Amazon publishes it, for the protobuf library to write."""
    one, many = _FIELD.LABEL_OPTIONAL, _FIELD.LABEL_REPEATED
    file = descriptor_pb2.FileDescriptorProto(name="aggregated.proto", package="test")
    file.message_type.extend(
        [
            _message("Tag", ("key", 1, _FIELD.TYPE_STRING, one, ""), ("value", 2, _FIELD.TYPE_STRING, one, "")),
            _message(
                "Record",
                ("partition_key_index", 1, _FIELD.TYPE_UINT64, one, ""),
                ("explicit_hash_key_index", 2, _FIELD.TYPE_UINT64, one, ""),
                ("data", 3, _FIELD.TYPE_BYTES, one, ""),
                ("tags", 4, _FIELD.TYPE_MESSAGE, many, ".test.Tag"),
            ),
            _message(
                "AggregatedRecord",
                ("partition_key_table", 1, _FIELD.TYPE_STRING, many, ""),
                ("explicit_hash_key_table", 2, _FIELD.TYPE_STRING, many, ""),
                ("records", 3, _FIELD.TYPE_MESSAGE, many, ".test.Record"),
            ),
        ]
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)  # type: ignore[no-untyped-call]
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("test.AggregatedRecord"))


TYPE = _type()


def aggregated(bodies: list[bytes]) -> bytes:
    """As the library writes them."""
    message = TYPE(partition_key_table=["k", "k2"], explicit_hash_key_table=["170141183460469231731687303715884105728"])
    for number, body in enumerate(bodies):
        record = message.records.add(partition_key_index=number % 2, explicit_hash_key_index=0, data=body)
        record.tags.add(key="a", value="b")
    return sealed(message.SerializeToString())


def sealed(message: bytes) -> bytes:
    return MAGIC + message + hashlib.md5(message, usedforsecurity=False).digest()


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=20))
def test_every_record_comes_out_as_it_went_in(bodies: list[bytes]) -> None:
    assert taken_apart(aggregated(bodies)) == bodies


@given(st.binary(max_size=60))
def test_any_bytes_give_a_record(message: bytes) -> None:
    assert taken_apart(message) == [message]
    assert taken_apart(sealed(message))


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=5), st.data())
def test_a_changed_byte_leaves_the_record_as_it_is(bodies: list[bytes], data: st.DataObject) -> None:
    whole = bytearray(aggregated(bodies))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    assert taken_apart(bytes(whole)) == [bytes(whole)]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x1a\x7f",  # longer than what is there
        b"\x1a\x02\x08\x00",  # a record without data
        b"\x1a" + b"\xff" * 11,
        b"\x0b\x0c",  # groups, which nobody writes
        b"\x1a\x02\x1a\x00" * 100_001,
    ],
)
def test_a_message_that_no_library_writes_stays_one_record(message: bytes) -> None:
    assert taken_apart(sealed(message)) == [sealed(message)]


async def test_records_in_one_travel_as_if_each_had_been_put_by_itself(source: Source) -> None:
    await source.send([*numbered(0, 1), aggregated(numbered(1, 3)), *numbered(4, 1)])
    assert b"".join(await collected(source, 1)) == b"".join(body + b"\n" for body in numbered(0, 5))


async def test_a_record_of_which_only_a_part_was_acknowledged_comes_again_as_a_whole(source: Source) -> None:
    source.settings["batch_messages"] = 2
    await source.send([*numbered(0, 1), aggregated(numbered(1, 4))])
    async with opened(source) as (_, iterator):
        first, second, _ = await pull(iterator, 3)
        assert first.body == b'{"n":0}\n{"n":1}\n'
        await first.acknowledge()
        await second.acknowledge()
    mark = json.loads(source.checkpoint.read_bytes())["shards"][FIRST]["sequence"]
    assert first.origin.locator.split("/")[2].startswith(f"{mark}-")  # of the record before
    again = await collected(source, 2)
    assert b"".join(again) == b"".join(body + b"\n" for body in numbered(1, 4))
    async with opened(source) as (_, iterator):
        await source.send(numbered(9, 1))
        (new,) = await pull(iterator, 1)
    assert new.body == b'{"n":9}'
