"""One Elasticsearch node with real security (file realm), loopback only, from the distribution for integration tests.

That distribution has the core, netty, x-pack-core and x-pack-security: no API keys, lifecycle policies, scripts, delete
by query, and no answer to `GET /`.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from skytrail.local import credentials
from skytrail.local.node import FAST_START, Launch
from skytrail.local.ports import LOOPBACK
from skytrail.local.privilege import private_directory, private_file
from skytrail.local.processes import ProcessIdentity
from skytrail.local.state import EngineState

DROPPED_OPTIONS = (
    "--add-modules=jdk.incubator.vector",  # the packaged Java runtime has no such module and would not start
    "-XX:+UseG1GC",
    "-XX:+HeapDumpOnOutOfMemoryError",
    "-Xlog:gc",
)

# Else every start tries, and fails, to copy the built-in roles into an index that this distribution can't make.
NO_ROLES_INDEX = "-Des.queryable_built_in_roles_enabled=false"

_LOG4J = """\
status = error
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {log}
appender.file.filePattern = {log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = [%d{{ISO8601}}][%-5p][%-25c{{1.}}] %marker%m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 20MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
"""


def launch(start: Launch) -> ProcessIdentity:
    """Configure and start the node; returns before it is ready.

    The process returned is the launcher. It starts the server, which bears our marker, and ends when that is up.

    Raises:
        EngineError: The process can't be started.
    """
    directory = start.directory("elasticsearch")
    for name in ("config", "data", "logs", "tmp"):
        private_directory(directory / name, start.account)
    _configure(start, directory)
    command = [str(start.installed.elasticsearch / "bin" / "elasticsearch"), "--daemonize"]
    environment = {
        "ES_JAVA_HOME": str(start.installed.java_home),
        "ES_PATH_CONF": str(directory / "config"),
        "ES_TMPDIR": str(directory / "tmp"),
        "CLI_JAVA_OPTS": "-XX:TieredStopAtLevel=1 -XX:-UsePerfData",
    }
    return start.run("elasticsearch", command, environment)


def settings(state: EngineState) -> dict[str, object]:
    """The content of elasticsearch.yml."""
    directory = state.directory / "elasticsearch"
    return {
        "cluster.name": "skytrail-local",
        "node.name": "skytrail-local",
        "path.data": str(directory / "data"),
        "path.logs": str(directory / "logs"),
        "network.host": LOOPBACK,
        "http.port": state.elasticsearch_port,
        "transport.port": "9300-9499",  # the first free one; nobody connects to it
        "discovery.type": "single-node",
        "action.auto_create_index": "logs-*,skytrail-*",
        "xpack.security.enabled": True,
        "xpack.security.autoconfiguration.enabled": False,
        "xpack.security.http.ssl.enabled": False,  # loopback only
        "xpack.security.transport.ssl.enabled": False,
        "xpack.security.authc.password_hashing.algorithm": "pbkdf2",
        "xpack.security.authc.reserved_realm.enabled": False,
        "xpack.security.authc.realms.file.local.order": 0,
        "xpack.security.authc.realms.native.unused.enabled": False,
        # percentages trip on a full disk of a development machine
        "cluster.routing.allocation.disk.watermark.low": "2gb",
        "cluster.routing.allocation.disk.watermark.high": "1gb",
        "cluster.routing.allocation.disk.watermark.flood_stage": "500mb",
    }


def java_options(released: str, heap_mb: int) -> str:
    """The content of jvm.options: the released one without what the packaged Java runtime or a small machine lacks."""
    kept = [line for line in released.splitlines() if line.strip() and not line.startswith("#")]
    kept = [line for line in kept if not any(option in line for option in DROPPED_OPTIONS)]
    return "\n".join([*kept, f"-Xms{heap_mb}m", f"-Xmx{heap_mb}m", *FAST_START]) + "\n"


def _configure(start: Launch, directory: Path) -> None:
    state = start.state
    released = (start.installed.elasticsearch / "config" / "jvm.options").read_text(encoding="utf-8")
    own = [start.marker("elasticsearch"), NO_ROLES_INDEX]
    options = java_options(released, state.heap.elasticsearch_mb) + "\n".join(own) + "\n"
    files = {
        "elasticsearch.yml": yaml.safe_dump(settings(state)),
        "jvm.options": options,
        "log4j2.properties": _LOG4J.format(log=state.logs["elasticsearch"]),
        "users": credentials.users_file(state.elasticsearch_users),
        "users_roles": credentials.users_roles_file(),
        "roles.yml": credentials.roles_file(),
    }
    for name, text in files.items():
        private_file(directory / "config" / name, text, start.account)
