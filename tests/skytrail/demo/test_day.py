from __future__ import annotations

import collections
import datetime as dt
import random
import re
import time
from pathlib import Path

import orjson

from skytrail.demo.day import SEED, Day, generate, write_files
from skytrail.demo.delivery import AUDIT, BATCH_EVENTS, CLOUDTRAIL
from tests.skytrail.demo.days import NOW, body_of, events, identity, the_day


def test_the_same_seed_and_end_give_the_same_bytes() -> None:
    again = generate(random.Random(SEED), NOW)
    assert again.files == the_day().files


def test_another_seed_gives_other_events_but_the_same_counts_of_bad_ones() -> None:
    other = generate(random.Random(SEED + 1), NOW)
    assert {identity(e) for e in events(other)}.isdisjoint({identity(e) for e in events(the_day())})
    assert other.expected.dead_lettered == the_day().expected.dead_lettered == 5


def test_an_end_given_in_another_zone_is_the_same_moment() -> None:
    zone = dt.timezone(dt.timedelta(hours=5, minutes=30))
    assert generate(random.Random(SEED), NOW.astimezone(zone)).files == the_day().files


def test_order_and_distances_do_not_depend_on_when_the_day_ends() -> None:
    later = dt.timedelta(days=3, hours=7)
    shifted = generate(random.Random(SEED), NOW + later)
    for ours, theirs in zip(_moments(the_day()), _moments(shifted), strict=True):
        assert theirs - ours == later


def test_the_day_ends_at_the_given_moment_and_is_no_longer_than_a_day() -> None:
    moments = _moments(the_day())
    assert NOW - dt.timedelta(days=1) <= min(moments)
    assert NOW - dt.timedelta(minutes=2) <= max(moments) <= NOW


def test_the_counts_are_those_of_the_bytes() -> None:
    expected = the_day().expected
    counted = collections.Counter(identity(event) for event in events(the_day()) if event.get("eventTime") != "")
    readable = sum(counted.values())
    broken_but_readable = 2  # no time, and an impossible one
    assert expected.received == readable + expected.dead_lettered - broken_but_readable
    assert expected.unique == len(counted) - broken_but_readable
    assert expected.duplicate == readable - len(counted)
    assert expected.received == expected.unique + expected.duplicate + expected.dead_lettered
    assert max(counted.values()) == 2


def test_there_is_enough_ordinary_traffic_of_both_kinds() -> None:
    expected = the_day().expected
    cloudtrail = sum("eventID" in event for event in events(the_day()))
    assert expected.benign >= 20_000
    assert 13_500 <= cloudtrail <= 15_500
    assert 6_500 <= expected.received - cloudtrail <= 8_500
    assert 0.008 <= expected.duplicate / expected.received <= 0.012


def test_what_is_delivered_twice_is_the_same_byte_for_byte_and_lies_in_another_file() -> None:
    places: dict[str, list[tuple[str, bytes]]] = collections.defaultdict(list)
    for file in the_day().files:
        if not file.name.endswith(".ndjson"):
            held = orjson.loads(body_of(file.name, file.body))
            for event in held.get("Records") or held["items"]:
                places[identity(event)].append((file.name, orjson.dumps(event)))
    twice = [found for found in places.values() if len(found) > 1]
    assert len(twice) == the_day().expected.duplicate
    for (first, one), (second, other) in twice:
        assert first != second
        assert one == other


def test_no_event_of_an_attack_is_delivered_twice() -> None:
    counted = collections.Counter(event.get("eventID") or event.get("auditID") for event in events(the_day()))
    stages = collections.Counter(
        str(event.record["auditID"]) for story in the_day().expected.stories for event in story.audit
    )
    for story in the_day().expected.stories:
        assert story.ids
        assert all(counted[one] == stages.get(one, 1) for one in story.ids)


def test_log_files_lie_where_aws_puts_them() -> None:
    layout = re.compile(
        r"AWSLogs/(\d{12})/CloudTrail/([a-z0-9-]+)/(\d{4}/\d\d/\d\d)/\1_CloudTrail_\2_(\d{8})T\d{4}Z_\w{16}\.json\.gz"
    )
    files = [file for file in the_day().of_format(CLOUDTRAIL) if not file.name.startswith("exports/")]
    found = [layout.fullmatch(file.name) for file in files]
    assert all(found)
    assert all(match[3].replace("/", "") == match[4] for match in found if match)
    assert len({match[1] for match in found if match}) == 3
    for file, match in zip(files, found, strict=True):
        records = orjson.loads(body_of(file.name, file.body))["Records"]
        assert match is not None
        assert {(r["recipientAccountId"], r["awsRegion"]) for r in records} == {(match[1], match[2])}


def test_webhook_bodies_are_event_lists_of_at_most_400() -> None:
    bodies = [orjson.loads(file.body) for file in the_day().of_format(AUDIT)]
    assert {body["kind"] for body in bodies} == {"EventList"}
    assert max(len(body["items"]) for body in bodies) == BATCH_EVENTS
    assert min(len(body["items"]) for body in bodies) > 0


def test_writing_makes_the_tree_of_log_files_and_nothing_else(tmp_path: Path) -> None:
    written = write_files(the_day(), tmp_path)
    found = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert set(written) == found
    assert {str(path.relative_to(tmp_path)) for path in found} == {f.name for f in the_day().of_format(CLOUDTRAIL)}
    assert all((tmp_path / file.name).read_bytes() == file.body for file in the_day().of_format(CLOUDTRAIL))


def test_a_day_is_made_in_a_few_seconds() -> None:
    started = time.process_time()
    generate(random.Random(SEED), NOW)
    assert time.process_time() - started < 8  # about one; a bound against a mistake of order


def test_addresses_and_accounts_are_those_reserved_for_examples() -> None:
    reserved = re.compile(r"192\.0\.2\.|198\.51\.100\.|203\.0\.113\.|10\.20\.")
    for event in events(the_day()):
        for address in event.get("sourceIPs") or [event["sourceIPAddress"]]:
            assert reserved.match(address) or address.endswith(".amazonaws.com"), address


def _moments(day: Day) -> list[dt.datetime]:
    """Times of all events, in the order of the files; the impossible one is left out."""
    texts = [event.get("stageTimestamp") or event.get("eventTime", "") for event in events(day)]
    return [dt.datetime.fromisoformat(text) for text in texts if text and not text.startswith("2026-02-31")]
