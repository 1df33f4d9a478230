"""Objects are fetched ahead, several at once, within bounds, and read in their order."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from ingest.schema.errors import MalformedBody
from skytrail.scan.prefetch import FIRST, Prefetch


class Store:
    """Objects of given sizes; remembers how many were being read at once."""

    def __init__(self, sizes: list[int], *, grown: dict[str, int] | None = None, together: int = 1) -> None:
        """Hold objects `0`, `1`, …; from the third on, reading waits until so many are read `together`."""
        self.objects = [(str(number), size) for number, size in enumerate(sizes)]
        self.bytes = {name: name.encode() * size for name, size in self.objects}
        self.bytes |= {name: name.encode() * size for name, size in (grown or {}).items()}
        self.broken = ""
        self.fetched: list[str] = []
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()
        self._barrier = threading.Barrier(together, timeout=20)

    def fetch(self, name: str) -> Iterator[bytes]:
        with self._lock:
            self.fetched.append(name)
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            if int(name) >= FIRST and self._barrier.parties > 1:
                self._barrier.wait()
            body = self.bytes[name]
            for start in range(0, len(body), 10):
                yield body[start : start + 10]
            if name == self.broken:
                raise MalformedBody("reading object: it broke off")
        finally:
            with self._lock:
                self._now -= 1


def read(prefetch: Prefetch, store: Store) -> list[bytes]:
    return [b"".join(prefetch.chunks(name)) for name, _ in store.objects]


def test_several_objects_are_on_their_way_at_once_and_come_in_order() -> None:
    store = Store([25] * (FIRST + 8), together=4)  # with fewer at once the barrier would break
    with Prefetch(store.objects, store.fetch, in_flight=4) as prefetch:
        assert read(prefetch, store) == [store.bytes[name] for name, _ in store.objects]
    assert store.most == 4
    assert sorted(store.fetched, key=int) == [name for name, _ in store.objects], "each once"


def test_nothing_is_fetched_ahead_before_the_third() -> None:
    store = Store([25] * 6)
    with Prefetch(store.objects, store.fetch) as prefetch:
        for name in ("0", "1"):
            list(prefetch.chunks(name))
            assert store.fetched == [str(number) for number in range(int(name) + 1)]


@pytest.mark.parametrize("budget", [1, 60, 150])
def test_what_waits_is_no_larger_than_the_budget_or_one_object(budget: int) -> None:
    store = Store([50] * 12)
    with Prefetch(store.objects, store.fetch, budget=budget) as prefetch:
        for number, (name, _) in enumerate(store.objects):
            assert b"".join(prefetch.chunks(name)) == store.bytes[name]
            ahead = len(store.fetched) - number - 1
            assert ahead * 50 <= max(budget, 50)


def test_a_large_object_is_read_when_it_is_its_turn_and_the_others_come_ahead() -> None:
    store = Store([10, 10, 10, 500, 10, 10])
    with Prefetch(store.objects, store.fetch, large=100) as prefetch:
        assert read(prefetch, store) == [store.bytes[name] for name, _ in store.objects]
    assert sorted(store.fetched) == ["0", "1", "2", "3", "4", "5"]


def test_an_object_that_grew_since_it_was_listed_is_read_anew_as_it_comes() -> None:
    store = Store([10] * 5, grown={"3": 1000})
    with Prefetch(store.objects, store.fetch, large=100) as prefetch:
        assert read(prefetch, store) == [store.bytes[name] for name, _ in store.objects]
    assert store.fetched.count("3") == 2


def test_an_object_that_breaks_off_gives_what_came_before_and_its_error_and_the_next_is_read() -> None:
    store = Store([25] * 5)
    store.broken = "3"
    got: list[bytes] = []
    with Prefetch(store.objects, store.fetch) as prefetch:
        for name in ("0", "1", "2"):
            list(prefetch.chunks(name))
        with pytest.raises(MalformedBody, match="broke off"):
            got.extend(prefetch.chunks("3"))
        assert b"".join(got) == store.bytes["3"]
        assert b"".join(prefetch.chunks("4")) == store.bytes["4"]


def test_whoever_leaves_early_leaves_no_thread() -> None:
    store = Store([25] * 50)
    before = threading.active_count()
    with Prefetch(store.objects, store.fetch, in_flight=4) as prefetch:
        for name in ("0", "1", "2"):
            list(prefetch.chunks(name))
    assert threading.active_count() == before
    assert len(store.fetched) < 50
