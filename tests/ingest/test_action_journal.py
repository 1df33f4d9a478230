"""An action is kept before it is done, and until the brokers have it, whoever dies in between."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from ingest.action_journal import COLLECTOR, ActionJournal
from ingest.formats.skytrail_audit.format import FORMAT
from ingest.schema.action import Action
from ingest.schema.envelope import Envelope, Position
from ingest.schema.errors import BrokerUnavailable, ConfigError

NOW = dt.datetime(2026, 11, 22, 9, tzinfo=dt.UTC)


class Brokers:
    """A publisher that may be away, or take everything and say nothing of it."""

    def __init__(self) -> None:
        self.away = False
        self.silent = False
        self.taken: list[Envelope] = []

    async def publish(self, envelopes: Sequence[Envelope]) -> list[Position]:
        if self.away:
            raise BrokerUnavailable("publishing: nobody there")
        self.taken.extend(envelopes)
        if self.silent:
            raise BrokerUnavailable("publishing: not acknowledged")
        return [Position("t", 0, at) for at in range(len(envelopes))]

    async def publish_dead_letters(self, letters: Sequence[object]) -> list[Position]:
        raise AssertionError(letters)

    async def close(self) -> None:
        return

    def outcomes(self) -> list[tuple[str, str]]:
        documents = [FORMAT.normalise(record) for each in self.taken for record in each.records]
        return [(each["event"]["id"], each["event"]["outcome"]) for each in documents]


def action(number: int = 1) -> Action:
    return Action(
        id=f"id{number}", at=NOW, actor="alice", host="h", program="cli", name="search", kind="access", target="x"
    )


def ended(begun: Action) -> Action:
    return msgspec.structs.replace(begun, outcome="success")


@pytest.fixture
def journal(tmp_path: Path) -> ActionJournal:
    return ActionJournal(tmp_path / "actions", "acme")


async def test_an_action_goes_to_the_brokers_when_it_ended_and_is_then_forgotten(journal: ActionJournal) -> None:
    brokers, begun = Brokers(), journal.begin(action())
    assert await journal.send(brokers, NOW) == 0, "it is still under way"
    journal.end(begun, ended(begun.action))
    assert await journal.send(brokers, NOW) == 1
    assert await journal.send(brokers, NOW) == 0
    (envelope,) = brokers.taken
    assert (envelope.header.format, envelope.header.namespace, envelope.header.collector) == (
        "skytrail.audit",
        "acme",
        COLLECTOR,
    )
    assert brokers.outcomes() == [("id1", "success")]


async def test_what_the_brokers_do_not_acknowledge_waits_and_is_sent_again(journal: ActionJournal) -> None:
    brokers = Brokers()
    for number in (1, 2):
        begun = journal.begin(action(number))
        journal.end(begun, ended(begun.action))
    for brokers.away, brokers.silent in ((True, False), (False, True)):
        with pytest.raises(BrokerUnavailable):
            await journal.send(brokers, NOW)
        assert len(journal.waiting()) == 2
    brokers.silent = False
    assert await journal.send(brokers, NOW) == 2
    assert brokers.outcomes() == [("id1", "success"), ("id2", "success")] * 2, "the same bytes: duplicates by their id"


async def test_an_action_whose_process_was_killed_is_told_as_unknown(journal: ActionJournal, tmp_path: Path) -> None:
    script = (
        "import os, sys, signal; from pathlib import Path\n"
        "from tests.ingest.test_action_journal import ActionJournal, action\n"
        "ActionJournal(Path(sys.argv[1]), 'acme').begin(action(7)); os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(  # noqa: ASYNC221 - nothing else runs
        [sys.executable, "-c", script, str(tmp_path / "actions")], cwd=root, env=environment, check=False
    )
    assert done.returncode == -9
    brokers = Brokers()
    assert await journal.send(brokers, NOW) == 1
    assert brokers.outcomes() == [("id7", "unknown")]


async def test_who_sends_while_another_begins_and_ends_tells_each_action_once(journal: ActionJournal) -> None:
    """Two that send and one that acts: nothing is taken for abandoned, and no end fails."""
    brokers = Brokers()

    def act() -> None:
        for number in range(80):
            begun = journal.begin(action(number))
            journal.end(begun, ended(begun.action))

    def send() -> None:
        while not acting.done():
            asyncio.run(journal.send(brokers, NOW))

    acting = asyncio.create_task(asyncio.to_thread(act))
    await asyncio.gather(acting, asyncio.to_thread(send), asyncio.to_thread(send))
    await journal.send(brokers, NOW)
    assert {*brokers.outcomes()} == {(f"id{number}", "success") for number in range(80)}
    assert len({record for each in brokers.taken for record in each.records}) == 80, "what is sent twice is the same"
    assert journal.waiting() == []


def test_an_action_that_a_full_disk_cuts_short_is_not_begun_and_leaves_nothing(tmp_path: Path) -> None:
    """A file of at most so many bytes can be written: the record is longer."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, before[1]))
    try:
        with pytest.raises(ConfigError, match="recording the action search: File too large"):
            ActionJournal(tmp_path / "actions", "acme").begin(action())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    assert list((tmp_path / "actions").iterdir()) == []


async def test_a_process_that_died_between_its_two_files_is_told_once(journal: ActionJournal, tmp_path: Path) -> None:
    begun = journal.begin(action())
    before = (tmp_path / "actions" / "id1.begun").read_bytes()
    journal.end(begun, ended(begun.action))
    (tmp_path / "actions" / "id1.begun").write_bytes(before)
    brokers = Brokers()
    assert await journal.send(brokers, NOW) == 1
    assert brokers.outcomes() == [("id1", "success")]
    assert list((tmp_path / "actions").iterdir()) == []


def test_what_can_not_be_kept_is_not_begun(tmp_path: Path) -> None:
    (tmp_path / "actions").write_text("a file in the place of the directory")
    with pytest.raises(ConfigError, match="recording the action search"):
        ActionJournal(tmp_path / "actions", "acme").begin(action())


def test_only_its_owner_reads_the_journal(journal: ActionJournal, tmp_path: Path) -> None:
    journal.begin(action())
    assert (tmp_path / "actions").stat().st_mode & 0o077 == 0
    assert (tmp_path / "actions" / "id1.begun").stat().st_mode & 0o077 == 0
