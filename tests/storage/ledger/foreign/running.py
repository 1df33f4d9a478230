"""Runs the programs of others, with their traps: fsck ends with 0 whatever it found, and may hang on a broken tile."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage.ledger.note import key_id_of
from storage.ledger.signing import ED25519, VerifierKey
from tests.storage.ledger.foreign.tools import fsck, notecheck, omniwitness

_SUCCESS = re.compile(r"Successfully fsck'd log with size (\d+) and root \S+ \(([0-9a-f]+)\)")
_WORKERS = 1024  # at least one per tile, or a broken one makes it hang
_FSCK_S = 60
_START_S = 60


def checked_by_fsck(log: Path, key: VerifierKey, scratch: Path) -> tuple[int, bytes] | None:
    """Size and root as Tessera's fsck found them; None when it found something wrong, or did not end."""
    key_file = scratch / "log.vkey"
    key_file.write_text(str(key))
    options = [f"--storage_url=file://{log}/", f"--public_key={key_file}", "--ui=false", f"-N={_WORKERS}"]
    program = str(fsck())
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run([program, *options], capture_output=True, text=True, timeout=_FSCK_S, check=False)
        if found := _SUCCESS.search(done.stderr):
            return int(found[1]), bytes.fromhex(found[2])
    return None


def verified_by_notecheck(note: Path, keys: Sequence[VerifierKey]) -> bool:
    """Whether golang.org/x/mod/sumdb/note finds a right signature of every key."""
    done = subprocess.run(
        [str(notecheck()), str(note), *map(str, keys)], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode == 0 and done.stdout.split() == list(map(str, keys))


def proven_by_notecheck(proof: bytes, entry: bytes, keys: Sequence[VerifierKey], scratch: Path) -> list[int]:
    """Index, size and number of signatures, as foreign code reads them from a tlog-proof; nothing where it refuses."""
    (scratch / "tlog-proof").write_bytes(proof)
    (scratch / "entry").write_bytes(entry)
    command = [str(notecheck()), "--proof", str(scratch / "tlog-proof"), str(scratch / "entry"), *map(str, keys)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return [int(number) for number in done.stdout.split()] if done.returncode == 0 else []


@contextlib.contextmanager
def running_omniwitness(directory: Path, name: str, seed: bytes, logs: Sequence[VerifierKey]) -> Iterator[str]:
    """An omniwitness that knows these logs; its address. Whatever it wants outside of this machine leads nowhere."""
    program = omniwitness()
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    key_id = key_id_of(name, ED25519, public).hex()
    (directory / "witness.key").write_text(
        f"PRIVATE+KEY+{name}+{key_id}+{base64.b64encode(bytes([ED25519]) + seed).decode()}"
    )
    entries = [
        f"  - Origin: {key.name}\n    URL: http://127.0.0.1:1/none\n    PublicKey: {key}\n    Feeder: none\n"
        for key in logs
    ]
    (directory / "logs.yaml").write_text("Logs:\n" + "".join(entries))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    nowhere = {"HTTP_PROXY": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": "127.0.0.1"}
    options = [f"--listen=127.0.0.1:{port}", "--metrics_listen=", f"--private_key_path={directory / 'witness.key'}"]
    options.append(f"--additional_logs={directory / 'logs.yaml'}")
    with (directory / "witness.log").open("wb") as told:
        process = subprocess.Popen([str(program), *options], env={**os.environ, **nowhere}, stdout=told, stderr=told)
    try:
        _wait(process, port, directory / "witness.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None, log.read_text("utf-8", "replace")[-2000:]
        assert time.monotonic() < deadline, "the witness does not listen"
        time.sleep(0.1)
