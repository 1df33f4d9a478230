"""A collector that is closed stops by itself, refuses to start, and tells when it has ended."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from pathlib import Path

import pytest

from ingest.schema.errors import ConfigError, StoreUnavailable
from skytrail.collecting import checked_collector, run_collector
from skytrail.offboarding.closing import close, closed, ended, folder, refuse_closed, running, until_closed
from skytrail.settings import Settings

NOW = dt.datetime(2026, 11, 27, 10, tzinfo=dt.UTC)


def test_a_closed_collector_refuses_to_start_and_says_when_it_was_closed(tmp_path: Path) -> None:
    refuse_closed(tmp_path, "trail")
    close(tmp_path, "trail", NOW)
    with pytest.raises(ConfigError, match=r"offboarded at 2026-11-27T10:00.*another name"):
        refuse_closed(tmp_path, "trail")
    refuse_closed(tmp_path, "other")


def test_closing_again_keeps_the_first_time(tmp_path: Path) -> None:
    first = close(tmp_path, "trail", NOW)
    assert close(tmp_path, "trail", NOW + dt.timedelta(days=1)) == first
    assert closed(tmp_path, "trail") == first


def test_a_mark_that_can_not_be_read_lets_nothing_start(tmp_path: Path) -> None:
    close(tmp_path, "trail", NOW)
    (folder(tmp_path) / "trail.closed.json").write_text("{")
    with pytest.raises(ConfigError, match="reading the mark"):
        refuse_closed(tmp_path, "trail")


async def test_a_running_collector_is_told_and_has_ended_when_its_lock_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skytrail.offboarding.closing.LOOK_EVERY_S", 0.02)
    stopped = asyncio.Event()
    with contextlib.ExitStack() as collectors:
        collectors.enter_context(running(tmp_path, "trail"))
        collectors.enter_context(running(tmp_path, "trail"))  # several may run under one name
        telling = asyncio.create_task(until_closed(tmp_path, "trail", stopped.set))
        await asyncio.sleep(0.05)
        assert not stopped.is_set()
        close(tmp_path, "trail", NOW)
        await asyncio.wait_for(stopped.wait(), 5)
        await telling
        assert not await ended(tmp_path, "trail", 0.05)
    assert await ended(tmp_path, "trail", 0.05)


async def test_a_collector_that_never_ran_here_has_ended(tmp_path: Path) -> None:
    assert await ended(tmp_path, "trail", 0)


def test_a_state_directory_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StoreUnavailable, match="starting collector"), running(tmp_path / "state", "trail"):
        pass
    with pytest.raises((StoreUnavailable, ConfigError)):
        close(tmp_path / "state", "trail", NOW)


async def test_collect_starts_nothing_of_an_offboarded_source(tmp_path: Path) -> None:
    close(tmp_path, "trail", NOW)
    settings = checked_collector(transport="files", format="aws.cloudtrail", files={"paths": [str(tmp_path)]})
    with pytest.raises(ConfigError, match="offboarded"):
        await run_collector("trail", settings, Settings.model_construct(state_dir=tmp_path).model_copy())


@pytest.mark.parametrize("name", ["../trail", "trail/shop", "trail.closed"])
async def test_a_collector_whose_files_would_be_those_of_another_is_not_started(tmp_path: Path, name: str) -> None:
    settings = checked_collector(transport="files", format="aws.cloudtrail", files={"paths": [str(tmp_path)]})
    with pytest.raises(ConfigError, match="naming a collector"):
        await run_collector(name, settings, Settings(state_dir=tmp_path))
    assert not folder(tmp_path).exists()
