"""Changed rules come into force whole or not at all."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from detectors.rulebook import Rulebook, load
from streams.rule_reload import RuleReload
from streams.telemetry import Telemetry
from tests.skytrail.scan.events import RULE, rules


class Worker:
    """What the detect role has: a set in force, and whoever reloads it."""

    def __init__(self, directory: Path, build: Callable[[Rulebook], str] = lambda book: book.version) -> None:
        self.telemetry = Telemetry()
        self.in_force = ""
        self.told: list[tuple[tuple[str, ...], dict[str, str]]] = []
        self.reload = RuleReload(
            load([directory]),
            [directory],
            load=lambda: load([directory]),
            build=build,
            use=self._use,
            telemetry=self.telemetry,
            tell=self._tell,
        )

    async def _tell(self, reasons: Sequence[str], details: Mapping[str, str]) -> None:
        self.told.append((tuple(reasons), dict(details)))

    def _use(self, book: Rulebook, built: str) -> None:
        assert book.version == built
        self.in_force = built

    async def settle(self) -> str:
        """Look until something was decided."""
        outcome = await self.reload.look()
        return await self.reload.look() if outcome == "unsettled" else outcome

    def count(self, outcome: str) -> float:
        return self.telemetry.registry.get_sample_value("skytrail_rule_reloads_total", {"outcome": outcome}) or 0


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return rules(tmp_path / "rules")


async def test_nothing_happens_while_nothing_changes(directory: Path) -> None:
    worker = Worker(directory)
    assert [await worker.reload.look() for _ in range(3)] == ["unchanged"] * 3
    assert worker.in_force == ""


async def test_a_new_rule_is_taken_once_the_set_lies_still_and_that_is_recorded(directory: Path) -> None:
    worker = Worker(directory)
    before = worker.reload.book.version
    (directory / "new.yml").write_text(RULE.replace("test-trail", "new-trail").replace("3c1f6a8e", "4c1f6a8e"))
    assert await worker.reload.look() == "unsettled"
    assert await worker.reload.look() == "reloaded"
    assert worker.in_force == worker.reload.book.version == load([directory]).version
    assert worker.reload.book.get("new-trail-stopped") is not None
    assert worker.count("reloaded") == 1
    assert worker.told == [((), {"before": before, "version": worker.in_force})]
    assert await worker.reload.look() == "unchanged"


async def test_a_set_that_still_changes_waits(directory: Path) -> None:
    worker = Worker(directory)
    for number in range(3):
        (directory / f"new{number}.yml").write_text("")
        assert await worker.reload.look() == "unsettled"
    assert await worker.reload.look() == "reloaded"


def mount(directory: Path, stamp: str, content: str) -> None:
    """Puts a rule file where Kubernetes puts the key of a ConfigMap: behind a link to a directory that is swapped.

    https://pkg.go.dev/k8s.io/kubernetes/pkg/volume/util#AtomicWriter
    """
    version = directory / f"..{stamp}"
    (version / "deeper").mkdir(parents=True)
    for name in ("mine.yml", "deeper/other.yml"):
        (version / name).write_text(content if name == "mine.yml" else content.replace("test-", "other-"))
        os.utime(version / name, (1, 1))  # versions differ by nothing but where the link leads
    swap = directory / "..data_tmp"
    swap.symlink_to(version.name)
    swap.rename(directory / "..data")
    for name in ("mine.yml", "deeper"):
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(f"..data/{name}")
    for old in directory.glob("..2*"):
        if old != version:
            shutil.rmtree(old)


async def test_a_config_map_of_kubernetes_is_read_once_and_its_swap_is_noticed(tmp_path: Path) -> None:
    nameless = RULE.replace("id: 3c1f6a8e-0a5a-4f6e-9b0a-2f3f9c8d7e61\n", "")
    mount(tmp_path, "2026_11_27_1", nameless)
    worker = Worker(tmp_path)
    assert worker.reload.book.errors == ()
    assert [rule.id for rule in worker.reload.book.rules] == ["other-trail-stopped", "test-trail-stopped"]
    mount(tmp_path, "2026_11_27_2", nameless.replace("StopLogging", "StopLoggins"))
    assert [await worker.reload.look(), await worker.reload.look()] == ["unsettled", "reloaded"]
    assert worker.count("refused") == 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("stopped.yml", "title: [unclosed"),
        ("stopped.yml", RULE.replace("eventName", "eventName|shout")),
        ("new.yml", RULE),  # an id that is taken
        ("new.yml", "\x00"),
    ],
)
async def test_a_broken_set_is_refused_whole_and_the_old_one_goes_on(directory: Path, name: str, content: str) -> None:
    worker = Worker(directory)
    before = worker.reload.book
    (directory / "sound.yml").write_text(RULE.replace("test-trail", "sound").replace("3c1f6a8e", "4c1f6a8e"))
    (directory / name).write_text(content)
    assert await worker.settle() == "refused"
    assert worker.reload.book is before
    assert worker.in_force == ""
    assert worker.count("refused") == 1
    ((reasons, details),) = worker.told
    assert reasons
    assert details == {"before": before.version}
    assert await worker.reload.look() == "unchanged", "it is refused once, not at every look"
    rules(directory)
    if name == "new.yml":
        (directory / name).unlink()
    assert await worker.settle() == "reloaded"
    assert worker.reload.book.get("sound-stopped") is not None


async def test_what_was_broken_before_does_not_keep_a_sound_change_out(directory: Path) -> None:
    (directory / "broken.yml").write_text("title: [unclosed")
    worker = Worker(directory)
    (directory / "listed.yml").unlink()
    assert await worker.settle() == "reloaded"
    assert worker.reload.book.get("test-buckets-listed") is None


async def test_a_directory_that_vanishes_or_is_emptied_leaves_the_old_set(directory: Path) -> None:
    worker = Worker(directory)
    shutil.rmtree(directory)
    assert await worker.settle() == "refused"
    rules(directory / "deeper").rename(directory.with_name("elsewhere"))
    assert await worker.reload.look(at_once=True) == "refused"
    assert len(worker.reload.book.rules) == 2


async def test_an_engine_that_can_not_be_built_leaves_the_old_one(directory: Path) -> None:
    def fail(_: Rulebook) -> Any:
        raise MemoryError

    worker = Worker(directory, build=fail)
    (directory / "listed.yml").unlink()
    assert await worker.settle() == "refused"
    assert len(worker.reload.book.rules) == 2


async def test_a_hangup_signal_reloads_at_once(directory: Path) -> None:
    worker = Worker(directory)
    watching = asyncio.create_task(worker.reload.watch(0))
    await asyncio.sleep(0.05)
    (directory / "listed.yml").unlink()
    os.kill(os.getpid(), signal.SIGHUP)
    for _ in range(500):
        await asyncio.sleep(0.01)
        if worker.in_force:
            break
    watching.cancel()
    assert worker.in_force == worker.reload.book.version
    assert len(worker.reload.book.rules) == 1


async def test_changed_rules_are_found_by_looking_now_and_then(directory: Path) -> None:
    worker = Worker(directory)
    watching = asyncio.create_task(worker.reload.watch(0.02))
    (directory / "listed.yml").unlink()
    for _ in range(500):
        await asyncio.sleep(0.01)
        if worker.in_force:
            break
    watching.cancel()
    assert len(worker.reload.book.rules) == 1
