"""`skytrail keys`: pairs are made once, rotate by an entry that both sign, and show nothing private."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from typer.testing import CliRunner, Result

from ingest.schema.errors import ConfigError
from skytrail.cli.main import build
from storage.ledger.keyring import KeyRing
from storage.ledger.notary import Notary, told_settings
from storage.ledger.signing import parse_vkey
from storage.settings import ArchiveSettings, LedgerSettings
from tests.storage.archive.samples import Clock
from tests.storage.ledger.oracle import ledgers_tell_of_every_segment
from tests.storage.ledger.test_notary import chains_in, sealed, store_in

RUNNER = CliRunner()


class Place:
    """A state directory with an archive, and the command on it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = root / "skytrail.toml"
        self.file.write_bytes(msgspec.toml.encode({"state_dir": str(root)}))
        self.keys = root / "ledger" / "keys.json"

    def run(self, *arguments: str) -> Result:
        return RUNNER.invoke(build("keys"), ["--config", str(self.file), "keys", *arguments], catch_exceptions=False)

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        result = self.run(*arguments, "-o", "json")
        assert result.exit_code == 0, result.stderr
        return list(json.loads(result.stdout))

    def write(self) -> None:
        """What the seal role does: seals, enters, and takes new keys over."""
        ledger = LedgerSettings()
        told = told_settings(ledger, ArchiveSettings())
        notary = Notary(store_in(self.root), KeyRing(self.keys), ledger, told, lambda: dt.datetime.now(dt.UTC))
        notary.record(chains_in(self.root))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_init_makes_a_pair_that_only_its_owner_can_read(place: Place) -> None:
    rows = place.rows("init", "--namespace", "acme")
    assert [(row["origin"], row["algorithm"]) for row in rows] == [
        ("logs.skytrail.example/acme/1", "ed25519"),
        ("logs.skytrail.example/acme/1", "mldsa44"),
    ]
    assert all(parse_vkey(row["vkey"]).name == row["origin"] for row in rows)
    files = [path for path in place.keys.parent.iterdir() if path.is_file()]
    assert len(files) == 4
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert place.keys.parent.stat().st_mode & 0o777 == 0o700


def test_init_again_keeps_what_is_there(place: Place) -> None:
    place.run("init")
    before = place.keys.read_bytes()
    assert "already" in place.run("init").stderr
    assert place.keys.read_bytes() == before


def test_init_refuses_new_keys_for_a_ledger_that_has_others(place: Place) -> None:
    place.run("init")
    sealed(place.root, Clock())
    place.write()
    place.keys.rename(place.keys.with_name("lost"))
    with pytest.raises(ConfigError, match="the keys file is missing"):
        place.run("init")


def test_rotation_is_an_entry_that_the_old_and_the_new_keys_sign(place: Place) -> None:
    place.run("init")
    sealed(place.root, Clock())
    place.write()
    old = place.rows("list")
    assert {row["origin"].split("/")[1] for row in old} == {"acme", "globex", "unreadable"}
    assert {(row["first_size"], row["last_size"]) for row in old} == {(0, None)}
    assert {row["first_size"] for row in place.rows("rotate")} == {0, None}
    place.write()
    entries = ledgers_tell_of_every_segment(place.root / "archive")["acme"]
    assert (entries[-1]["type"], entries[-1]["reason"]) == ("keychange", "rotation")
    signed_by = [line.split(" ")[1:] for line in entries[-1]["signatures"]]
    rows = [row for row in place.rows("list") if row["origin"].endswith("/acme/1")]
    ed25519 = [parse_vkey(row["vkey"]) for row in rows if row["algorithm"] == "ed25519"]
    assert [base64.b64decode(body)[:4] for _, body in signed_by] == [key.key_id for key in ed25519]
    size = len(entries)
    assert [(row["first_size"], row["last_size"]) for row in rows] == [(0, size)] * 2 + [(size, None)] * 2


def test_keys_that_begin_later_are_listed_and_do_not_sign_yet(place: Place) -> None:
    place.run("init")
    sealed(place.root, Clock())
    place.write()
    place.run("rotate", "--effective-in", "60", "--days", "3")
    place.write()
    rows = [row for row in place.rows("list") if row["origin"].endswith("/acme/1")]
    assert [(row["first_size"], row["last_size"]) for row in rows] == [(0, None)] * 2 + [(None, None)] * 2
    lasts = dt.datetime.fromisoformat(rows[-1]["not_after"]) - dt.datetime.fromisoformat(rows[-1]["not_before"])
    assert lasts == dt.timedelta(days=3)


def test_a_pair_that_would_come_after_the_end_of_the_old_one_is_refused(place: Place) -> None:
    place.run("init", "--days", "1")
    with pytest.raises(ConfigError, match="would not sign"):
        place.run("rotate", "--effective-in", str(25 * 60))
    assert len(KeyRing(place.keys).pairs()) == 1


def test_without_keys_the_way_to_them_is_told(place: Place) -> None:
    with pytest.raises(ConfigError, match="reading the keys") as caught:
        place.run("list")
    assert "skytrail keys init" in caught.value.mend


def secrets_of(directory: Path) -> list[bytes]:
    """Every private key in every form in which it could show."""
    found: list[bytes] = []
    for path in directory.glob("*.pem"):
        private = load_pem_private_key(path.read_bytes(), None)
        raw = private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        found += [raw, raw.hex().encode(), base64.b64encode(raw), repr(raw)[2:-1].encode(), base64.b64encode(der)]
        found += path.read_bytes().splitlines()[1:-1]
    return found


def broken(files: list[Path]) -> Iterator[None]:
    """The files cut short, changed, with each other's content, readable by others, in turn."""
    bodies = [path.read_bytes() for path in files]
    for changed in ([body[:-60] for body in bodies], [body.swapcase() for body in bodies], bodies[::-1]):
        for path, body in zip(files, changed, strict=True):
            path.write_bytes(body)
        yield
    for path, body in zip(files, bodies, strict=True):
        path.write_bytes(body)
        path.chmod(0o640)
    yield


def test_no_private_key_is_printed_stored_or_told_in_an_error(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    told = [place.run("init", "--namespace", "acme"), place.run("rotate"), place.run("list", "-o", "json")]
    sealed(place.root, Clock())
    place.write()
    secrets = secrets_of(place.keys.parent)
    assert len(secrets) >= 4 * 6
    shown = b"".join((each.stdout + each.stderr).encode() for each in told)
    shown += "".join(capfd.readouterr()).encode()
    pair = KeyRing(place.keys).pairs()[-1]
    shown += f"{pair!r} {vars(pair)!r} {pair.signers('a/b/1')!r} {[vars(s) for s in pair.signers('a/b/1')]!r}".encode()
    for path in (path for path in (place.root / "archive").rglob("*") if path.is_file()):
        shown += path.read_bytes()
    shown += place.keys.read_bytes()
    for _ in broken(sorted(place.keys.parent.glob(f"{pair.id}.*.pem"))):
        with pytest.raises(ConfigError) as caught:
            pair.signers("a/b/1")
        shown += f"{caught.value} {caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}".encode()
    assert [secret for secret in secrets if secret in shown] == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("public_key", "!!!no base64"),
        ("public_key", "AAAA"),
        ("not_before", "soon"),
        ("not_after", "2028-01-01"),
        ("not_after", "9999-99-99T00:00:00.000000Z"),
        ("private_file", "../elsewhere.pem"),
        ("algorithm", "rot13"),
    ],
)
def test_a_keys_file_that_makes_no_sense_is_refused_with_the_way_back(place: Place, field: str, value: str) -> None:
    place.run("init")
    listed = json.loads(place.keys.read_bytes())
    listed["keys"][0][field] = value
    place.keys.write_text(json.dumps(listed))
    for command in (["list", "-n", "acme"], ["rotate"]):
        with pytest.raises(ConfigError, match="reading the keys of the ledger") as caught:
            place.run(*command)
        assert "backup" in caught.value.mend
    place.keys.write_bytes(b'{"v":1,"keys":[{"id":"\xff"}]}')
    with pytest.raises(ConfigError, match="reading the keys of the ledger"):
        place.run("list")


def test_keys_for_all_times_are_refused_before_any_file_is_made(place: Place) -> None:
    assert place.run("init", "--days", "999999999").exit_code != 0
    with pytest.raises(ConfigError, match="beyond all times"):
        KeyRing(place.keys).add_first(dt.datetime.now(dt.UTC), days=999_999_999)
    assert not list(place.keys.parent.glob("*.pem"))
    place.run("init")
    assert place.run("rotate", "--effective-in", "99999999999").exit_code != 0
    assert len(list(place.keys.parent.glob("*.pem"))) == 2
