"""Looks at a source: again after rests and troubles, with what was handed back in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from ingest.schema.errors import SkytrailError, SourceRefused, SourceUnavailable
from ingest.transports import looks as module
from ingest.transports.looks import Looks


class Script:
    """A source whose looks bring what is written for them; an error ends a look."""

    def __init__(self, *looks: list[int | SkytrailError]) -> None:
        self.left = list(looks)
        self.told: list[SkytrailError] = []
        self.idle = 0
        self.looks: Looks[int] = Looks(self.told.append, self._idle)

    def _idle(self) -> None:
        self.idle += 1

    async def look(self) -> AsyncIterator[int]:
        for each in self.left.pop(0) if self.left else ():
            if isinstance(each, SkytrailError):
                raise each
            yield each

    async def found(self, count: int, rest_s: float = 0.01, *, once: bool = False) -> list[int]:
        """So many bodies, or all until the looks end."""
        found: list[int] = []
        async with asyncio.timeout(10):
            async for each in self.looks.repeated(self.look, rest_s=rest_s, refused_rest_s=0.01, once=once):
                found.append(each)
                if len(found) == count:
                    break
        return found


AWAY = SourceUnavailable("listing: away", where="bucket")
REFUSED = SourceRefused("listing: no", where="bucket")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(module, "_LONGEST_PAUSE_S", 0.02)


async def test_a_look_that_was_cut_short_or_refused_is_told_once_and_repeated() -> None:
    script = Script([1, AWAY], [REFUSED], [AWAY], [2], [3])
    assert await script.found(3) == [1, 2, 3]
    assert script.told == [AWAY, REFUSED]
    assert script.idle > 0


async def test_what_is_handed_back_comes_during_the_rest_and_does_not_wait_for_the_next_look() -> None:
    script = Script([1])
    found = []
    async with asyncio.timeout(10):
        async for each in script.looks.repeated(script.look, rest_s=3600, refused_rest_s=3600):
            found.append(each)
            if len(found) < 3:
                asyncio.get_running_loop().call_later(0.02, script.looks.hand_back, each + 1)
            else:
                break
    assert found == [1, 2, 3]


async def test_once_ends_after_the_first_look_that_came_to_its_end() -> None:
    script = Script([1, AWAY], [1, 2], [3])
    assert await script.found(9, once=True) == [1, 1, 2]
    assert script.left == [[3]]


async def test_once_and_refused_is_an_error_and_no_end() -> None:
    with pytest.raises(SourceRefused, match="no"):
        await Script([REFUSED]).found(9, once=True)


async def test_a_stop_ends_a_long_rest() -> None:
    script = Script([1])
    asyncio.get_running_loop().call_later(0.1, script.looks.stop)
    assert await script.found(9, rest_s=3600) == [1]
