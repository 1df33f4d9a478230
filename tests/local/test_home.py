"""State, ports and places of a home."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import stat
from pathlib import Path

import pytest

from ingest.schema.errors import EngineError
from skytrail.local import engines, ports
from skytrail.local import home as homes
from skytrail.local.engines import remove, status, stop
from skytrail.local.exclusive import exclusive
from skytrail.local.home import engine_directory, new_state, refreshed, with_choices, with_ports
from skytrail.local.ports import any_free, choose, is_free, is_listening
from skytrail.local.privilege import Account, can_enter, private_file, public_directory
from skytrail.local.processes import ProcessIdentity
from skytrail.local.state import EngineState, load, save

STRANGER = Account("stranger", 54321, 54321)


@pytest.fixture
def state(tmp_path: Path) -> EngineState:
    return new_state(tmp_path, tmp_path / "cache", None)


def listener() -> socket.socket:
    server = socket.socket()
    server.bind((ports.LOOPBACK, 0))
    server.listen(1)
    return server


def test_a_state_survives_the_disk_unchanged_and_private(state: EngineState) -> None:
    saved = state.with_process("kafka", ProcessIdentity(1, 2.5))
    save(saved)
    assert load(state.home) == saved
    assert stat.S_IMODE((state.home / "engines.json").stat().st_mode) == 0o600


def test_passwords_are_generated_for_every_user_and_never_shown(state: EngineState) -> None:
    passwords = {*state.elasticsearch_users.values(), state.kafka_password, state.kafka_controller_password}
    assert set(state.elasticsearch_users) == {
        "bootstrap",
        "indexer",
        "alerter",
        "reader",
        "analyst",
        "retention",
        "eraser",
        "auditor",
        "admin",
    }
    assert len(passwords) == 11
    assert not any(password in repr(state) for password in passwords)


def test_no_engines_means_no_state(tmp_path: Path) -> None:
    assert load(tmp_path) is None
    assert status(tmp_path) == {}
    stop(tmp_path)
    remove(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"home": 1}'])
def test_an_unreadable_state_is_an_engine_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "engines.json").write_text(content)
    with pytest.raises(EngineError, match=r"engines\.json"):
        load(tmp_path)


def test_recorded_pids_of_other_processes_are_forgotten(state: EngineState) -> None:
    stale = state.with_process("kafka", ProcessIdentity(os.getpid(), 1.0))
    stale = stale.with_process("elasticsearch", ProcessIdentity(2**22 + 5, 1.0))
    assert refreshed(stale).processes == {}


def test_another_elasticsearch_version_on_old_data_is_refused(state: EngineState) -> None:
    with pytest.raises(EngineError, match=r"holds data of 8\.19\.8"):
        with_choices(state, state.cache, "9.1.0", None)
    assert with_choices(state, state.cache, "8.19.8", None).versions["elasticsearch"] == "8.19.8"


def test_the_first_free_candidate_is_chosen_else_any_free_port() -> None:
    with listener() as server:
        taken, free = server.getsockname()[1], any_free()
        assert not is_free(taken)
        assert is_listening(taken)
        assert not is_listening(free)
        assert choose(taken, free) == free
        assert choose(None, free) == free
        assert choose(taken) not in (taken, 0)


def test_a_home_keeps_its_port_until_somebody_else_has_it(state: EngineState) -> None:
    first = with_ports(state, ["kafka"], kafka_port=any_free())
    assert with_ports(first, ["kafka"]).kafka_port == first.kafka_port
    with socket.socket() as server:
        server.bind((ports.LOOPBACK, first.kafka_port))
        server.listen(1)
        assert with_ports(first, ["kafka"]).kafka_port != first.kafka_port
        assert with_ports(first, []).kafka_port == first.kafka_port


def test_a_port_lost_between_look_and_start_is_chosen_again(
    state: EngineState, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def start_and_wait(state: EngineState, *_: object) -> EngineState:
        tried.append(state.kafka_port)
        if len(tried) == 1:
            raise EngineError("address already in use")
        return state

    monkeypatch.setattr(engines, "_start_and_wait", start_and_wait)
    with listener() as squatter:
        lost = dataclasses.replace(state, kafka_port=squatter.getsockname()[1])
        assert engines._bring_up(lost, ["kafka"], lambda *_: None).kafka_port == tried[1] != tried[0]
    tried.clear()
    with pytest.raises(EngineError, match="address"):
        engines._bring_up(dataclasses.replace(state, kafka_port=any_free()), ["kafka"], lambda *_: None)


def test_engine_files_of_a_closed_home_lie_elsewhere(tmp_path: Path) -> None:
    assert engine_directory(tmp_path, None) == tmp_path
    tmp_path.chmod(0o700)
    elsewhere = engine_directory(tmp_path, STRANGER)
    assert elsewhere.parent == homes.SYSTEM_HOMES
    assert elsewhere != engine_directory(tmp_path / "other", STRANGER)


def test_closed_directories_cannot_be_entered_by_strangers(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    assert not can_enter(inner, STRANGER)  # the temporary directories of pytest are closed
    assert can_enter(inner, None)
    assert can_enter(Path("/usr/bin"), STRANGER)
    assert can_enter(Path("/usr/not/there/yet"), STRANGER)


def test_public_directories_are_open_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        made = public_directory(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (made, made.parent)] == [0o755, 0o755]


def test_a_link_planted_at_a_private_file_is_replaced_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (tmp_path / "file").symlink_to(victim)
    private_file(tmp_path / "file", "secret")
    assert victim.read_text() == "untouched"
    assert (tmp_path / "file").read_text() == "secret"


def test_a_lock_is_free_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inside"), exclusive(tmp_path / "lock"):
        raise ValueError("inside")
    with exclusive(tmp_path / "lock"):
        pass


def test_the_state_file_holds_no_more_than_the_state(state: EngineState) -> None:
    save(state)
    assert set(json.loads((state.home / "engines.json").read_text())) == set(state.__dataclass_fields__)
