"""Archives with ledgers, made by the code that writes them, and whom an auditor of them pins."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import json
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509 import Certificate, load_pem_x509_certificate

from storage.archive.store import ArchiveStore
from storage.datakeys.keys import DataKeys
from storage.ledger import entries
from storage.ledger.entries import Streamed, Tips
from storage.ledger.keyring import KeyRing
from storage.ledger.log import Log, LogIdentity
from storage.ledger.note import Note, parse
from storage.ledger.published import PublishedLog
from storage.ledger.signing import NoteSigner
from storage.verify.archive import examine
from storage.verify.encryption import KeySource
from storage.verify.findings import Finding, Summary
from storage.verify.ledger.notes import Checkpoint, VerifierKey, parse_checkpoint, parse_vkey
from storage.verify.ledger.pins import Pins
from storage.verify.places import Directory
from storage.verify.scope import Scope
from tests.storage.archive.samples import TOPIC, Clock, open_store, seal_in_batches, stream
from tests.storage.ledger.samples import keys_in

ORGANISATION = "logs.example.org"
SETTINGS: dict[str, Any] = {
    "heartbeat_interval_s": 60,
    "segment_max_age_ms": 5000,
    "stamp_interval_s": 60,
    "quorum": 0,
    "witnesses": [],
    "authorities": [],
}


@functools.cache
def witness(name: str) -> NoteSigner:
    """A witness; the same name, the same key."""
    return NoteSigner(name, Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32, b"-")), witness=True)


class MadeArchive:
    """An archive whose ledgers are written by the real writer; every file can be written.

    Args:
        root: Where; the archive lies in a folder of it, the keys beside it.
        settings: Of the logs.
    """

    def __init__(self, root: Path, settings: dict[str, Any] | None = None, epoch: int = 1) -> None:
        self.root = root / "archive"
        self.clock = Clock()
        self.keys: KeyRing = keys_in(root)
        self.epoch = epoch
        self.settings = settings or SETTINGS
        self.data_keys: DataKeys | None = None
        self._logs: dict[str, Log] = {}

    @property
    def store(self) -> ArchiveStore:
        return open_store(self.root, allow_delete=True)

    def log(self, namespace: str = "acme") -> Log:
        """The log of a namespace."""
        if namespace not in self._logs:
            identity = LogIdentity(ORGANISATION, self.epoch, namespace, self.settings)
            self._logs[namespace] = Log(self.store, identity, self.keys, self.clock)
        return self._logs[namespace]

    def origin(self, namespace: str = "acme") -> str:
        return f"{ORGANISATION}/{namespace}/{self.epoch}"

    def seal(self, count: int, edges: Iterable[int], start: int = 0) -> None:
        """Seal the messages of a made stream from `start` on."""
        messages = {offset: value for offset, value in stream(count).items() if offset >= start}
        seal_in_batches(self.store, messages, edges, self.clock, self.data_keys)

    def enter(self, namespace: str = "acme", batch: int = 2) -> None:
        """Enter what the log lacks of its chain of partition 0."""

        def lacking(tips: Tips) -> list[bytes]:
            tip = tips.get((TOPIC, 0))
            start = 0 if tip is None else tip.seq + 1
            folder = self.root / namespace / "seg" / TOPIC / "0"
            return [path.read_bytes() for path in sorted(folder.glob("*.manifest.json"))[start : start + batch]]

        self.log(namespace).append(lacking)

    def beat(self, namespace: str = "acme", passed: float = 60) -> None:
        """Time passes; then a heartbeat."""
        self.clock.pass_(passed)
        told: list[bytes] = []

        def beat(tips: Tips) -> list[bytes]:
            if told:
                return []
            named = [
                Streamed(topic=tip.topic, partition=tip.partition, seq=tip.seq, last_offset=tip.last_offset)
                for tip in tips.values()
            ]
            told.append(entries.heartbeat(namespace, self.clock(), named))
            return told

        self.log(namespace).append(beat)

    def anchor(
        self,
        witnesses: Iterable[str],
        namespace: str = "acme",
        passed: float = 1,
        *,
        stamp: bool = False,
        seconds: int | None = None,
    ) -> Path:
        """Time passes; witnesses cosign the published checkpoint, by their own clocks if told; gives its folder."""
        self.clock.pass_(passed)
        log = PublishedLog(self.store, self.log(namespace).identity)
        published = log.checkpoint()
        assert published is not None
        note = parse(published)
        seconds = int(self.clock().timestamp()) if seconds is None else seconds
        signatures = [witness(name).sign(note.text, seconds) for name in witnesses]
        cosigned = Note(note.text, (*note.signatures, *signatures)).encode()
        size = parse_checkpoint(cosigned).size
        folder = self.root / namespace / "anchor" / str(self.epoch) / f"{size:020d}"
        folder.mkdir(parents=True)
        (folder / "checkpoint").write_bytes(cosigned)
        log.publish(published, cosigned)
        if stamp:
            keep_stamp(folder, stamp_of(cosigned))
        return folder

    def vkeys(self, namespace: str = "acme") -> list[VerifierKey]:
        """The keys of the log that are valid now, as the verifier reads them."""
        return [parse_vkey(str(key)) for key in self.keys.newest(self.clock()).verifier_keys(self.origin(namespace))]

    def pins(self, **more: Any) -> Pins:
        """The Ed25519 keys of all its logs."""
        namespaces = [path.parent.name for path in sorted(self.root.glob("*/log"))]
        return Pins(keys=tuple(self.vkeys(namespace)[0] for namespace in namespaces), **more)

    def checkpoint(self, namespace: str = "acme") -> Checkpoint:
        """The published checkpoint."""
        return parse_checkpoint((self.root / namespace / "log" / str(self.epoch) / "checkpoint").read_bytes())

    def findings(
        self,
        pins: Pins | None = None,
        summary: Summary | None = None,
        now: dt.datetime | None = None,
        keys: KeySource | None = None,
    ) -> list[Finding]:
        """What the verifier finds, for someone who pinned the keys."""
        scope = Scope(pins=pins or self.pins(), now=now or self.clock(), keys=keys)
        return list(examine(Directory(self.root), scope, summary))


def keep_stamp(folder: Path, reply: bytes) -> Path:
    """Put a time stamp into the folder of an anchor, under the name that tells its bytes."""
    path = folder / f"tsa-{hashlib.sha256(reply).hexdigest()[:16]}.tsr"
    path.write_bytes(reply)
    return path


def small(root: Path) -> MadeArchive:
    """Fourteen messages of two namespaces and an unreadable one in three batches, all in ledgers."""
    made = MadeArchive(root)
    made.seal(14, [3, 8])
    for namespace in ("acme", "globex", "unreadable"):
        made.enter(namespace)
    made.beat("acme", 30)
    writable(made.root)
    return made


def writable(root: Path) -> None:
    """Let every file of an archive be written."""
    for path in root.rglob("*"):
        path.chmod(0o750 if path.is_dir() else 0o640)


_SECTION = """
[tsa]
dir = {dir}
serial = {dir}/serial
signer_cert = {dir}/tsa.pem
signer_key = {dir}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
[ext]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[req]
distinguished_name = name
[name]
"""


@functools.cache
def _authority() -> Path:
    """A time stamping authority of openssl."""
    folder = Path(tempfile.mkdtemp(prefix="skytrail-test-tsa-"))
    (folder / "tsa.conf").write_text(_SECTION.format(dir=folder))
    (folder / "serial").write_text("01\n")
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    _openssl(
        folder, "req", "-x509", *new_key, "-days", "3650", "-subj", "/CN=Root", "-keyout", "ca.key", "-out", "ca.pem"
    )
    _openssl(
        folder, "req", *new_key, "-subj", "/CN=TSA", "-config", "tsa.conf", "-keyout", "tsa.key", "-out", "tsa.csr"
    )
    signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "3650"]
    _openssl(
        folder,
        "x509",
        "-req",
        "-in",
        "tsa.csr",
        *signing,
        "-extfile",
        "tsa.conf",
        "-extensions",
        "ext",
        "-out",
        "tsa.pem",
    )
    return folder


def authority() -> Certificate:
    """Its root certificate."""
    return load_pem_x509_certificate((_authority() / "ca.pem").read_bytes())


def stamp_of(body: bytes) -> bytes:
    """A reply of the authority, of the present real time."""
    folder = _authority()
    (folder / "data").write_bytes(body)
    _openssl(folder, "ts", "-query", "-data", "data", "-sha256", "-cert", "-out", "query")
    return reply_of_openssl((folder / "query").read_bytes())


def reply_of_openssl(query: bytes) -> bytes:
    """Its reply to a query."""
    folder = _authority()
    (folder / "query").write_bytes(query)
    _openssl(folder, "ts", "-reply", "-config", "tsa.conf", "-section", "tsa", "-queryfile", "query", "-out", "reply")
    return (folder / "reply").read_bytes()


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def edit(path: Path, **changes: Any) -> None:
    """Change fields of a canonical JSON document."""
    value = json.loads(path.read_bytes()) | changes
    path.write_bytes(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())
