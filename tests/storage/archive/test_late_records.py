"""Records of an old month are sealed while a key of it is destroyed: none is lost with the key, whoever is first."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.schema.errors import StoreUnavailable
from storage.archive.manifest import MANIFEST_SUFFIX
from storage.archive.people import records_of_people, sealed_since, segments_of
from storage.archive.reader import ArchiveReader
from storage.archive.store import ArchiveStore
from storage.datakeys.keys import DataKeys
from storage.retention.late import made_after
from storage.verify.archive import examine
from storage.verify.places import Directory
from storage.verify.scope import Scope
from tests.storage.archive.faults import FaultyStore, Killed
from tests.storage.archive.people import ANN, BOB, of_people
from tests.storage.archive.samples import START, Clock, open_store, seal_in_batches, sealer
from tests.storage.datakeys.samples import Opener, made_keys

LATER = START + dt.timedelta(days=60)
MESSAGES = of_people(6)
EARLY = {offset: MESSAGES[offset] for offset in range(3)}
LATE = {offset: MESSAGES[offset] for offset in range(3, 6)}


class Watched(FaultyStore):
    """A store in which something happens just before a write of a kind."""

    def __init__(self, inner: ArchiveStore, suffix: str, happens: Callable[[], None]) -> None:
        super().__init__(inner, -1, "lost")
        self._suffix, self._happens = suffix, happens

    def put(self, key: str, body: bytes, until: dt.datetime | None = None) -> None:
        if key.endswith(self._suffix):
            happens, self._happens = self._happens, lambda: None
            happens()
        super().put(key, body, until)


@dataclasses.dataclass
class Scene:
    """Three messages of March are sealed; three more of March wait, and it is the end of April."""

    root: Path
    clock: Clock = dataclasses.field(default_factory=Clock)

    def __post_init__(self) -> None:
        seal_in_batches(self.store, EARLY, [], self.clock, self.keys)
        self.clock.now = LATER
        (self.ann,) = self.keys.of_subject("acme", ANN)

    @property
    def store(self) -> ArchiveStore:
        return open_store(self.root / "archive")

    @property
    def keys(self) -> DataKeys:
        """As another process has them."""
        return made_keys(self.root / "datakeys", now=self.clock, by_subject=True)

    def seal(self, store: ArchiveStore | None = None, keys: DataKeys | None = None) -> None:
        one = sealer(store or self.store, self.clock, keys=keys or self.keys)
        for offset, value in LATE.items():
            one.add(offset, value)
        one.seal()

    def erase(self) -> bool:
        """As `erase apply` does it: close, look for notes, read, and only then destroy; whether it went."""
        keys = self.keys
        keys.close("acme", self.ann)
        pending = [each for each in keys.noted("acme", self.ann) if self.store.get(each) is None]
        self.judged = len(list(records_of_people(self.store, "acme", [self.ann], keys)))
        if pending:
            return False
        keys.destroy("acme", self.ann)
        return True

    def bodies(self) -> Iterator[bytes]:
        return (record.body for record in ArchiveReader(self.store, self.keys).records("acme"))

    def of_ann(self) -> int:
        """How many of ann's records can be read."""
        return sum(b'"ann"' in body for body in self.bodies())

    def assert_sound(self, lawful: int) -> None:
        scope = Scope(keys=Opener(self.keys, subjects=self.root / "datakeys" / "subjects"))
        found = list(examine(Directory(self.root / "archive"), scope))
        assert len(found) == lawful, found  # no ledger is here to say that it was to go
        assert sum(b'"bob"' in body for body in self.bodies()) == 6


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_what_is_sealed_before_is_judged_with_the_rest(scene: Scene) -> None:
    before = segments_of(scene.store, "acme")
    scene.seal()
    (month,) = {entry.id for entry in scene.keys.entries()}
    late = sealed_since(scene.store, "acme", before, {month})
    assert late is not None
    assert sealed_since(scene.store, "acme", before, {"2026-04-00000000"}) is None
    assert sealed_since(scene.store, "acme", segments_of(scene.store, "acme"), {month}) is None
    assert scene.erase()
    assert scene.judged == 12
    assert scene.of_ann() == 0


def test_what_is_sealed_after_has_a_new_key_which_is_told_and_opens_it(scene: Scene) -> None:
    assert scene.erase()
    scene.seal()
    assert scene.judged == 6
    assert scene.of_ann() == 6
    scene.assert_sound(1)
    (again,) = scene.keys.of_subject("acme", ANN)
    assert made_after([again], {scene.ann}) == [again]
    assert made_after(scene.keys.of_subject("acme", BOB), {scene.ann}) == []


@pytest.mark.parametrize("suffix", [".ndz", ".leaves", MANIFEST_SUFFIX])
def test_destroyed_between_sealing_and_publishing_the_key_stays_until_the_manifest_is_there(
    scene: Scene, suffix: str
) -> None:
    went: list[bool] = []
    scene.seal(Watched(scene.store, suffix, lambda: went.append(scene.erase())))
    assert went == [False]
    assert scene.of_ann() == 12
    assert scene.erase()
    assert scene.judged == 12
    scene.assert_sound(1)


def test_destroyed_before_the_sealer_says_what_it_publishes_it_seals_anew_under_another_key(scene: Scene) -> None:
    went: list[bool] = []
    keys = scene.keys
    announce = keys.announce

    def later(*told: object) -> bool:
        if not went:
            went.append(scene.erase())
        return announce(*told)  # type: ignore[arg-type]

    keys.announce = later  # type: ignore[method-assign]
    scene.seal(keys=keys)
    assert went == [True]
    assert scene.of_ann() == 6
    scene.assert_sound(1)


def test_a_closed_key_is_used_no_more_and_still_opens_what_was_sealed_under_it(scene: Scene) -> None:
    scene.keys.close("acme", scene.ann)
    scene.seal()
    assert len(scene.keys.of_subject("acme", ANN)) == 2
    assert len(list(records_of_people(scene.store, "acme", [scene.ann], scene.keys))) == 6
    assert scene.of_ann() == 12
    scene.assert_sound(0)


def test_a_sealer_that_died_before_its_manifest_keeps_the_key_until_another_took_its_number(scene: Scene) -> None:
    def dies() -> None:
        raise Killed

    with pytest.raises(Killed):
        scene.seal(Watched(scene.store, MANIFEST_SUFFIX, dies))
    assert not scene.erase()
    scene.seal()  # Kafka delivers again; the key is closed
    assert scene.erase()
    assert scene.judged == 6
    assert scene.of_ann() == 6
    scene.assert_sound(1)


def test_a_table_that_is_away_for_once_loses_nothing_and_leaves_no_note(scene: Scene) -> None:
    class Away(Watched):
        def delete(self, key: str) -> None:
            happens, self._happens = self._happens, lambda: None
            happens()
            super().delete(key)

    def away() -> None:
        raise StoreUnavailable("deleting archive object: no answer")

    keys = scene.keys
    assert keys.subjects is not None
    keys.subjects.closing._store = Away(open_store(scene.root / "datakeys" / "subjects", allow_delete=True), "-", away)
    one = sealer(scene.store, scene.clock, keys=keys)
    for offset, value in LATE.items():
        one.add(offset, value)
    with pytest.raises(StoreUnavailable):
        one.seal()
    one.seal()
    assert keys.noted("acme", scene.ann) == []
    assert scene.erase()
    assert scene.judged == 12


def test_a_month_whose_key_is_destroyed_meanwhile_is_sealed_under_a_new_one(scene: Scene) -> None:
    keys = scene.keys
    announce = keys.announce
    gone: list[str] = []

    def later(*told: object) -> bool:
        if not gone:
            (month,) = {entry.id for entry in scene.keys.entries()}
            scene.keys.destroy("acme", month)
            gone.append(month)
        return announce(*told)  # type: ignore[arg-type]

    keys.announce = later  # type: ignore[method-assign]
    scene.seal(keys=keys)
    assert scene.of_ann() == 6
    assert len(list(scene.keys.entries())) == 1
