"""What `skytrail replay index` ends with."""

from __future__ import annotations

import dataclasses

import pytest

from skytrail.cli.commands.replay import Compared, exit_of
from skytrail.cli.exits import Exit

NOTHING = Compared(new=0, same=9, unindexed=1, gone=0, altered=0, rewritten=0, kept=0, refused=0, unchecked=0)


@pytest.mark.parametrize("name", ["gone", "altered", "rewritten", "kept"])
def test_whatever_verify_calls_a_finding_ends_a_replay_with_1(name: str):
    found = dataclasses.replace(NOTHING, unchecked=1, **{name: 1})
    assert exit_of(found, dry_run=False) is exit_of(found, dry_run=True) is Exit.FINDINGS


@pytest.mark.parametrize(
    ("changes", "code", "dry"),
    [
        ({}, Exit.OK, Exit.OK),
        ({"new": 3}, Exit.OK, Exit.FINDINGS),
        ({"refused": 1}, Exit.INCOMPLETE, Exit.INCOMPLETE),
        ({"unchecked": 1}, Exit.INCOMPLETE, Exit.INCOMPLETE),
    ],
)
def test_what_is_written_is_no_finding_unless_it_was_only_asked_for(changes: dict[str, int], code: Exit, dry: Exit):
    found = dataclasses.replace(NOTHING, **changes)
    assert (exit_of(found, dry_run=False), exit_of(found, dry_run=True)) == (code, dry)
