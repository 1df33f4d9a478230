"""What is known about the engines of one home: where they listen, who may enter, which processes they are.

Kept in `engines.json` in the home (mode 0600: it holds the generated passwords).
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ingest.schema.errors import EngineError
from skytrail.local.ports import LOOPBACK
from skytrail.local.privilege import private_file
from skytrail.local.processes import ProcessIdentity

Engine = Literal["kafka", "elasticsearch"]
ENGINES: tuple[Engine, ...] = ("kafka", "elasticsearch")

FILE = "engines.json"
KAFKA_USER = "skytrail"


@dataclass(frozen=True)
class Heap:
    """Java heap of each engine."""

    kafka_mb: int = 384
    elasticsearch_mb: int = 512


@dataclass(frozen=True)
class EngineState:
    """The engines of one home; everything a client needs to reach them."""

    home: Path
    directory: Path  # configuration, data and logs of the engines: the home, unless their account can't enter it
    cache: Path
    kafka_port: int
    kafka_controller_port: int
    elasticsearch_port: int
    kafka_password: str = field(repr=False)
    kafka_controller_password: str = field(repr=False)
    elasticsearch_users: dict[str, str] = field(repr=False)
    versions: dict[Engine, str]
    heap: Heap = Heap()
    processes: dict[Engine, ProcessIdentity] = field(default_factory=dict)

    @property
    def kafka_bootstrap(self) -> str:
        """Address for `bootstrap_servers`."""
        return f"{LOOPBACK}:{self.kafka_port}"

    @property
    def kafka_username(self) -> str:
        """The only Kafka user; its password is `kafka_password`."""
        return KAFKA_USER

    @property
    def kafka_security_protocol(self) -> str:
        """Kafka's name for authentication without TLS; it never leaves the loopback interface."""
        return "SASL_PLAINTEXT"

    @property
    def kafka_mechanism(self) -> str:
        """The SASL mechanism of the listener."""
        return "SCRAM-SHA-512"

    @property
    def elasticsearch_url(self) -> str:
        """Base address of the HTTP interface."""
        return f"http://{LOOPBACK}:{self.elasticsearch_port}"

    def port(self, engine: Engine) -> int:
        """The port that clients of the engine connect to."""
        return self.kafka_port if engine == "kafka" else self.elasticsearch_port

    @property
    def pids(self) -> dict[Engine, int]:
        """Process ids as they were when the engines were started."""
        return {engine: process.pid for engine, process in self.processes.items()}

    @property
    def logs(self) -> dict[Engine, Path]:
        """The log file of each engine."""
        return {engine: self.directory / engine / "logs" / f"{engine}.log" for engine in ENGINES}

    def console(self, engine: Engine) -> Path:
        """Where the engine's standard output and error go: what is said before its log is open."""
        return self.directory / engine / "console.log"

    def with_process(self, engine: Engine, process: ProcessIdentity | None) -> EngineState:
        """The same state with another process (None: none) for `engine`."""
        others = {name: known for name, known in self.processes.items() if name != engine}
        return dataclasses.replace(self, processes=others if process is None else {**others, engine: process})


def save(state: EngineState) -> None:
    """Write the state of a home, replacing the former one at once."""
    state.home.mkdir(parents=True, exist_ok=True)
    private_file(state.home / FILE, json.dumps(dataclasses.asdict(state), default=str, indent=2) + "\n")


def load(home: Path) -> EngineState | None:
    """The state of a home, or None if no engine was ever started there.

    Raises:
        EngineError: The file is there and can't be read.
    """
    path = home / FILE
    try:
        return _decode(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as exc:
        raise EngineError(
            f"reading the state of the local engines: {exc}",
            where=str(path),
            mend="stop what still runs with `skytrail down`, or remove the file and run `skytrail up`",
        ) from exc


def _decode(fields: dict[str, Any]) -> EngineState:
    fields["heap"] = Heap(**fields["heap"])
    fields["processes"] = {engine: ProcessIdentity(**process) for engine, process in fields["processes"].items()}
    for name in ("home", "directory", "cache"):
        fields[name] = Path(fields[name])
    return EngineState(**fields)
