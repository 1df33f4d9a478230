"""What the engines are told: loopback only, real passwords, no surprises of a small machine."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from skytrail.local import credentials
from skytrail.local.elasticsearch_node import java_options, settings
from skytrail.local.home import new_state, with_ports
from skytrail.local.kafka_node import properties
from skytrail.local.state import ENGINES, EngineState

RELEASED = """\
## comment
-XX:+UseG1GC
-Djava.io.tmpdir=${ES_TMPDIR}
20-:--add-modules=jdk.incubator.vector
23:-XX:CompileCommand=dontinline,java/lang/invoke/MethodHandle.asTypeUncached
-XX:+HeapDumpOnOutOfMemoryError
-Xlog:gc*,gc+age=trace,safepoint:file=gc.log:utctime,level,pid,tags:filecount=32,filesize=64m
"""


@pytest.fixture
def state(tmp_path: Path) -> EngineState:
    return with_ports(new_state(tmp_path, tmp_path, None), ENGINES)


def test_options_that_the_java_runtime_lacks_are_dropped_and_the_heap_is_set() -> None:
    options = java_options(RELEASED, 512).splitlines()
    assert options[:2] == [
        "-Djava.io.tmpdir=${ES_TMPDIR}",
        "23:-XX:CompileCommand=dontinline,java/lang/invoke/MethodHandle.asTypeUncached",
    ]
    assert {"-Xms512m", "-Xmx512m", "-XX:+UseSerialGC"} <= set(options)
    assert not any("vector" in option or "G1" in option for option in options)


def test_kafka_listens_on_loopback_only_and_lets_nobody_in_without_a_password(state: EngineState) -> None:
    told = dict(line.split("=", 1) for line in properties(state, Path("/data")).splitlines())
    assert set(re.findall(r"\w+://([\d.]+):", told["listeners"] + told["advertised.listeners"])) == {"127.0.0.1"}
    assert told["listener.security.protocol.map"] == "CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT"
    assert told["auto.create.topics.enable"] == "false"
    assert int(told["message.max.bytes"]) == 9 * 1024 * 1024 <= int(told["replica.fetch.max.bytes"])


def test_elasticsearch_listens_on_loopback_with_security(state: EngineState) -> None:
    told = settings(state)
    assert told["network.host"] == "127.0.0.1"
    assert told["xpack.security.enabled"] is True
    assert told["action.auto_create_index"] == "logs-*,skytrail-*"
    assert told["http.port"] == state.elasticsearch_port


def test_password_hashes_are_those_of_an_independent_implementation() -> None:
    salt = bytes(range(32))
    found = re.fullmatch(r"\{(\w+)\}(\d+)\$([^$]+)\$([^$]+)", credentials.password_hash("secret", salt))
    assert found is not None
    name, rounds, written, derived = found.groups()
    assert name == "PBKDF2"
    assert base64.b64decode(written) == salt
    PBKDF2HMAC(SHA512(), 32, salt, int(rounds)).verify(b"secret", base64.b64decode(derived))


def test_the_indexer_holds_exactly_what_writing_needs() -> None:
    role = yaml.safe_load(credentials.roles_file())["skytrail_indexer"]
    assert role["cluster"] == ["monitor"]
    assert role["indices"] == [
        {"names": ["logs-*"], "privileges": ["auto_configure", "create_doc", "view_index_metadata"]}
    ]


def test_every_user_has_one_role_and_a_salt_of_its_own() -> None:
    users = credentials.new_users()
    assert credentials.users_roles_file().splitlines() == [
        "skytrail_bootstrap:bootstrap",
        "skytrail_indexer:indexer",
        "skytrail_alerter:alerter",
        "skytrail_reader:reader",
        "skytrail_analyst:analyst",
        "skytrail_retention:retention",
        "skytrail_eraser:eraser",
        "skytrail_auditor:auditor",
        "superuser:admin",
    ]
    same = dict.fromkeys(users, "same password")
    assert len({line.split(":", 1)[1] for line in credentials.users_file(same).splitlines()}) == len(users)
