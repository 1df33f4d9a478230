"""Who asks for a range of time is told of everything that was done to it, at its ends and in every region, too."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from storage.verify.cloudtrail.keys import read_keys
from storage.verify.cloudtrail.trail import Trail
from storage.verify.findings import Kind, Summary
from storage.verify.places import place_at
from storage.verify.scope import Scope
from tests.storage.verify.cloudtrail import samples
from tests.storage.verify.cloudtrail.samples import HOUR, START, Digested, MadeTrail, a_trail, key_list

MINUTE = dt.timedelta(minutes=1)
YEARS_LATER = START + 800 * 24 * HOUR
Found = list[tuple[Kind, str]]


def check(root: Path, made: MadeTrail, now: dt.datetime, *, sidecars: bool = True, **scope: Any) -> Found:
    keys = root / "keys.json"
    keys.write_text(json.dumps(key_list()))
    place = place_at(str(made.write(root / "copy", sidecars=sidecars)))
    trail = Trail(place, read_keys([keys]), Scope(jobs=2, **scope), now, Summary())
    return [(finding.kind, finding.key) for finding in trail.check()]


def in_region(name: str, begin: int = 0) -> MadeTrail:
    """A trail of another region, up to the fifth hour."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "REGION", name)
        if not begin:
            return a_trail(5, backfill=False)
        made, previous = MadeTrail(), None
        for hour in range(begin, 5):
            previous = made.add_digest(START + (hour + 1) * HOUR, previous, [])
        return made


@pytest.fixture
def other() -> MadeTrail:
    return in_region("eu-west-1")


def both(one: MadeTrail, other: MadeTrail) -> MadeTrail:
    return MadeTrail(one.objects | other.objects, one.metadata | other.metadata)


def cut(made: MadeTrail, start: dt.datetime, end: dt.datetime) -> list[str]:
    """Delete the digests about a time, and the log files that they list; which digests were deleted."""
    first, last = (f"{time:%Y%m%dT%H%M%SZ}.json.gz" for time in (start, end))
    gone = [key for key in made.digests if first < key.rpartition("_")[2] <= last]
    for key in gone:
        del made.objects[key]
    for key in made.logs:
        if f"{start:%Y%m%dT%H%MZ}" <= key.split("_")[-2] < f"{end:%Y%m%dT%H%MZ}":
            del made.objects[key]
    return gone


def test_a_region_whose_digests_end_before_the_range_is_missed_by_the_clock(tmp_path: Path, other: MadeTrail) -> None:
    cut(other, START + 2 * HOUR, START + 5 * HOUR)
    made = both(a_trail(backfill=False), other)
    now = START + 5 * HOUR + 50 * MINUTE
    assert check(tmp_path, made, now, since=START + 3 * HOUR) == [(Kind.TRUNCATED, other.digests[1])]


def test_a_region_that_has_no_digest_in_the_range_and_some_around_it_is_missing(
    tmp_path: Path, other: MadeTrail
) -> None:
    gone = cut(other, START + HOUR, START + 3 * HOUR)
    made = both(a_trail(backfill=False), other)
    found = check(tmp_path, made, YEARS_LATER, since=START + HOUR, until=START + 3 * HOUR)
    assert found == [(Kind.MISSING, gone[-1])]


@pytest.mark.parametrize("hours", [1, 2, 4])
def test_the_end_of_a_range_that_was_cut_off_is_shown_by_the_digest_after_it(tmp_path: Path, hours: int) -> None:
    made = a_trail(8, backfill=False)
    gone = cut(made, START + (4 - hours) * HOUR, START + 4 * HOUR)
    found = check(tmp_path, made, YEARS_LATER, since=START, until=START + 4 * HOUR)
    assert (Kind.MISSING, gone[-1]) in found


def test_a_digest_after_the_range_that_was_changed_hides_nothing(tmp_path: Path) -> None:
    made = a_trail(8, backfill=False)
    cut(made, START + 3 * HOUR, START + 4 * HOUR)
    made.objects[made.digests[4]] = b"x"
    found = check(tmp_path, made, YEARS_LATER, since=START, until=START + 4 * HOUR)
    assert found == [(Kind.ALTERED, made.digests[4])]


@pytest.mark.parametrize("sidecars", [True, False])
def test_what_lies_around_a_sound_range_is_not_told_of(tmp_path: Path, *, sidecars: bool) -> None:
    made = a_trail(9, backfill=False)
    made.objects[made.digests[1]] = b"x"
    made.objects[made.digests[7]] = b"x"
    scope = {"since": START + 3 * HOUR + 5 * MINUTE, "until": START + 5 * HOUR}
    assert check(tmp_path, made, YEARS_LATER, sidecars=sidecars, **scope) == []


def test_a_file_put_in_shortly_before_the_end_of_a_range_is_found(tmp_path: Path) -> None:
    made = a_trail(8, backfill=False)
    extra = made.add_log(START + 4 * HOUR - 10 * MINUTE, 777)
    assert check(tmp_path, made, YEARS_LATER, since=START, until=START + 4 * HOUR) == [(Kind.INSERTED, extra)]


@pytest.mark.parametrize("minutes", [10, 100, 134])
def test_of_checks_that_follow_each_other_one_finds_a_file_that_waited_for_its_digest(
    tmp_path: Path, minutes: int
) -> None:
    made, asked = a_trail(8, backfill=False), START + 5 * HOUR
    extra = made.add_log(asked - minutes * MINUTE, 777)
    found = check(tmp_path, made, START + 8 * HOUR + 5 * MINUTE, since=asked)
    assert found == [(Kind.INSERTED, extra)]


def test_a_trail_that_began_after_the_range_is_not_missed_in_it(tmp_path: Path) -> None:
    made = both(a_trail(backfill=False), in_region("sa-east-1", begin=4))
    assert check(tmp_path, made, YEARS_LATER, since=START, until=START + 3 * HOUR) == []


def test_a_chain_that_comes_back_from_another_bucket_is_incomplete_and_not_accused(tmp_path: Path) -> None:
    made = a_trail(2, backfill=False)
    abroad = Digested("elsewhere", START + 4 * HOUR, "00" * 32, "ab")
    made.add_digest(START + 5 * HOUR, abroad, [], previousDigestS3Bucket="other-bucket")
    assert check(tmp_path, made, START + 5 * HOUR + MINUTE) == [(Kind.UNCHECKED, made.digests[-1])]


def test_a_digest_of_the_future_does_not_stand_for_those_that_were_cut_off(tmp_path: Path) -> None:
    made = a_trail(3, backfill=False)
    made.add_digest(YEARS_LATER, None, [])
    del made.metadata[made.digests[-1]]
    found = check(tmp_path, made, START + 10 * HOUR)
    assert found == [(Kind.INSERTED, made.digests[-1]), (Kind.TRUNCATED, made.digests[-2])]


def test_a_digest_that_cannot_be_read_does_not_stand_for_those_that_were_cut_off(tmp_path: Path) -> None:
    made = a_trail(3, backfill=False)
    made.add_digest(START + 10 * HOUR, None, [])
    made.objects[made.digests[-1]] = b"x"
    kinds = [kind for kind, _ in check(tmp_path, made, START + 10 * HOUR)]
    assert kinds[:2] == [Kind.ALTERED, Kind.TRUNCATED]


def test_the_expired_digest_before_a_backfill_in_the_range_is_not_missed(tmp_path: Path) -> None:
    made = a_trail()
    first, _ = (key for key in made.digests if "_backfill" in key)
    del made.objects[first], made.objects[made.logs[-2]]
    assert (Kind.MISSING, first) in check(tmp_path, made, START + 5 * HOUR)
    assert check(tmp_path, made, START + 5 * HOUR, since=START - 8 * HOUR) == []
