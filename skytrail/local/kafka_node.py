"""One Kafka broker and controller in one process (KRaft), loopback only, SCRAM for everyone.

https://kafka.apache.org/41/operations/kraft/ and https://kafka.apache.org/41/security/authentication-using-sasl/
"""

from __future__ import annotations

import base64
import secrets
import shutil
import subprocess
from pathlib import Path

from ingest.schema.errors import EngineError
from skytrail.local.node import FAST_START, Launch
from skytrail.local.ports import LOOPBACK
from skytrail.local.privilege import private_directory, private_file
from skytrail.local.processes import ProcessIdentity
from skytrail.local.state import KAFKA_USER, EngineState

MESSAGE_MAX_BYTES = 9 * 1024 * 1024  # a record of 8 MiB travels alone, with its header
FORMAT_TIMEOUT_S = 120
_JAAS = "org.apache.kafka.common.security"

_LOG4J = """\
Configuration:
  Properties: {{Property: {{name: pattern, value: "[%d] %p %m (%c)%n"}}}}
  Appenders:
    RollingFile:
      name: file
      fileName: {log}
      filePattern: {log}.%i
      PatternLayout: {{pattern: "${{pattern}}"}}
      Policies: {{SizeBasedTriggeringPolicy: {{size: 20MB}}}}
      DefaultRolloverStrategy: {{max: 3}}
  Loggers:
    Root: {{level: INFO, AppenderRef: [{{ref: file}}]}}
"""


def launch(start: Launch) -> ProcessIdentity:
    """Configure, format once, and start the broker; returns before it is ready.

    Raises:
        EngineError: The storage can't be formatted or the process can't be started.
    """
    directory = start.directory("kafka")
    for name in ("config", "logs", "tmp"):
        private_directory(directory / name, start.account)
    configuration = directory / "config" / "server.properties"
    private_file(configuration, properties(start.state, directory / "data"), start.account)
    log4j = _LOG4J.format(log=start.state.logs["kafka"])
    private_file(directory / "config" / "log4j2.yaml", log4j, start.account)
    if not (directory / "data").exists():
        _format(start, directory)
    command = [*_java(start, start.state.heap.kafka_mb), start.marker("kafka"), "kafka.Kafka", str(configuration)]
    return start.run("kafka", command, {})


def properties(state: EngineState, data: Path) -> str:
    """The broker's configuration."""
    broker, controller = state.kafka_port, state.kafka_controller_port
    lines = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
        "listeners": f"CLIENT://{LOOPBACK}:{broker},CONTROLLER://{LOOPBACK}:{controller}",
        "advertised.listeners": f"CLIENT://{LOOPBACK}:{broker}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "CLIENT",
        "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
        "sasl.mechanism.inter.broker.protocol": state.kafka_mechanism,
        "sasl.mechanism.controller.protocol": "PLAIN",  # not SCRAM: its records live in what the controllers agree on
        "listener.name.client.sasl.enabled.mechanisms": state.kafka_mechanism,
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.client.scram-sha-512.sasl.jaas.config": (
            f'{_JAAS}.scram.ScramLoginModule required username="{KAFKA_USER}" password="{state.kafka_password}";'
        ),
        "listener.name.controller.plain.sasl.jaas.config": (
            f'{_JAAS}.plain.PlainLoginModule required username="controller" '
            f'password="{state.kafka_controller_password}" user_controller="{state.kafka_controller_password}";'
        ),
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        "num.partitions": "1",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",  # 50 would be made, and loaded at every start
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "log.retention.hours": "168",
        "message.max.bytes": str(MESSAGE_MAX_BYTES),
        "replica.fetch.max.bytes": str(MESSAGE_MAX_BYTES),
        "socket.request.max.bytes": str(4 * MESSAGE_MAX_BYTES),
        # the offset map of the cleaner is allocated whole; its default of 128 MiB is a third of our heap
        "log.cleaner.dedupe.buffer.size": str(8 * 1024 * 1024),
        "log.cleaner.io.buffer.size": str(512 * 1024),
        "num.network.threads": "2",
        "num.io.threads": "4",
        # after a crash the controller takes the broker back only when its former session has ended; the default is 9 s
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def _java(start: Launch, heap_mb: int) -> list[str]:
    directory = start.directory("kafka")
    return [
        str(start.installed.java),
        f"-Xms{min(128, heap_mb)}m",
        f"-Xmx{heap_mb}m",
        *FAST_START,
        "-XX:+ExitOnOutOfMemoryError",
        f"-Djava.io.tmpdir={directory / 'tmp'}",
        f"-Dlog4j2.configurationFile=file:{directory / 'config' / 'log4j2.yaml'}",
        "-cp",
        f"{start.installed.kafka / 'libs'}/*",
    ]


def _format(start: Launch, directory: Path) -> None:
    """Write the cluster id and the SCRAM user, once per home; a partial directory is made again from nothing."""
    partial = directory / "data.partial"
    if partial.exists():
        shutil.rmtree(partial)
    private_directory(partial, start.account)
    configuration = directory / "config" / "format.properties"
    private_file(configuration, properties(start.state, partial), start.account)
    # An argument file, since the command line of a process is readable by every user of the machine.
    arguments = directory / "config" / "format.arguments"
    private_file(arguments, _format_arguments(start, configuration), start.account)
    try:
        _run_to_end(start, [str(start.installed.java), f"@{arguments}"])
    finally:
        arguments.unlink(missing_ok=True)
        configuration.unlink(missing_ok=True)
    partial.replace(directory / "data")


def _format_arguments(start: Launch, configuration: Path) -> str:
    cluster = base64.urlsafe_b64encode(b"\0" + secrets.token_bytes(15)).rstrip(b"=").decode()
    scram = f"SCRAM-SHA-512=[name={KAFKA_USER},password={start.state.kafka_password}]"
    tool = ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(configuration), "--add-scram", scram]
    return "\n".join(f'"{word}"' for word in [*_java(start, 128)[1:], *tool])


def _run_to_end(start: Launch, command: list[str]) -> None:
    account = start.account
    try:
        done = subprocess.run(  # noqa: S603 -- our own Java and arguments
            command,
            env={"LANG": "C.UTF-8"},
            cwd=start.directory("kafka") / "tmp",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=FORMAT_TIMEOUT_S,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise EngineError(f"formatting Kafka's storage: {exc}", where=command[0]) from exc
    if done.returncode != 0:
        raise EngineError(
            f"formatting Kafka's storage: {(done.stdout + done.stderr)[-2000:].strip()}",
            where=str(start.directory("kafka")),
            mend="remove this directory if it holds nothing you need, then run `skytrail up`",
        )
