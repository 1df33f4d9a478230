"""docker-compose.yml as its readers use it: engines, setup, roles and webhook in containers, a day sent through."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr

from skytrail.demo.day import SEED, Day, generate, write_files
from skytrail.demo.delivery import AUDIT
from storage.index.client import connect
from storage.index.rights import everybody
from storage.settings import ElasticsearchSettings, Login
from tests.integration.compose import ComposeProject
from tests.integration.docker_engine import missing

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(bool(missing()), reason=f"needs Docker: {missing()}"),
]

_COUNT_ARCHIVE = """
import json, pathlib
manifests = [json.loads(p.read_bytes()) for p in pathlib.Path("/var/lib/skytrail/archive").rglob("*.manifest.json")]
raw = [m for m in manifests if ".raw." in m["body"]["key"]]
print(json.dumps({"segments": len(raw), "records": sum(m["n"] for m in raw)}))
"""


@dataclass(frozen=True)
class Sent:
    """What the tests look at: the project after the whole day went through it."""

    project: ComposeProject
    day: Day
    ingested: Any
    answers: list[int]
    status: Any


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    """The project with the day sent through: CloudTrail from the host, audit batches over the webhook."""
    project = ComposeProject(tmp_path_factory.mktemp("compose"), f"skytrail-test-{os.getpid()}")
    day = generate(random.Random(SEED), dt.datetime.now(dt.UTC))
    logs = tmp_path_factory.mktemp("logs")
    write_files(day, logs)
    try:
        project.up()
        ingested = project.skytrail_on_the_host(
            *("ingest", "files", str(logs), "--format", "aws.cloudtrail"), state=tmp_path_factory.mktemp("state")
        )
        answers = [project.post_audit(file.body) for file in day.of_format(AUDIT)]
        status = project.skytrail("status", "--wait", "--timeout", "180", timeout_s=240)
        yield Sent(project, day, ingested, answers, status)
    finally:
        project.down()


def test_every_file_and_every_batch_is_taken(sent: Sent) -> None:
    assert sent.ingested["received"] + sum(_items(file.body) for file in sent.day.of_format(AUDIT)) == (
        sent.day.expected.received
    )
    assert set(sent.answers) == {200}


def test_the_status_in_a_container_leaves_no_residue(sent: Sent) -> None:
    expected, totals = sent.day.expected, sent.status["totals"]
    assert sent.status["caught_up"] is True
    assert totals["residue"] == 0
    assert totals["received"] == totals["sealed"] == expected.received
    assert totals["indexed"] == expected.unique
    assert totals["duplicate"] == expected.duplicate
    assert totals["dead_lettered"] == expected.dead_lettered


def test_elasticsearch_holds_every_unique_record(sent: Sent) -> None:
    status, _ = sent.project.search("bootstrap", "/logs-*/_refresh")
    assert status == 200
    status, answer = sent.project.search("reader", "/logs-aws.cloudtrail-*,logs-kubernetes.audit_logs-*/_count")
    assert (status, answer["count"]) == (200, sent.day.expected.unique)


def test_the_archive_volume_holds_every_received_record(sent: Sent) -> None:
    found = json.loads(sent.project.run("exec", "-T", "seal", "python", "-c", _COUNT_ARCHIVE))
    assert found["records"] == sent.day.expected.received
    assert found["segments"] > 1


def test_the_attacks_are_alerts(sent: Sent) -> None:
    status, answer = sent.project.search("reader", "/logs-skytrail.alert-*/_count")
    assert status == 200
    assert answer["count"] >= 3 * 4


def test_the_one_who_writes_documents_can_not_read_them(sent: Sent) -> None:
    status, _ = sent.project.search("indexer", "/logs-aws.cloudtrail-*/_count")
    assert status == 403


async def test_the_auditor_sees_who_has_rights_and_no_event(sent: Sent) -> None:
    password = SecretStr(sent.project.secrets["SKYTRAIL_ELASTICSEARCH__AUDITOR__PASSWORD"])
    settings = ElasticsearchSettings(
        url=f"http://127.0.0.1:{sent.project.elasticsearch_port}",
        auditor=Login(username="skytrail_auditor", password=password),
    )
    client = connect(settings, "auditor")
    try:
        rights = {(each.kind, each.name): each.rights for each in await everybody(client)}
    finally:
        await client.close()
    assert rights["user", "skytrail_indexer"] == ("auto_configure, create_doc, view_index_metadata on logs-*",)
    assert rights["user", "skytrail_auditor"] == ()
    assert "all on the cluster" in rights["user", "elastic"]
    assert sent.project.search("auditor", "/logs-aws.cloudtrail-*/_count")[0] == 403


def test_a_wrong_token_is_refused_at_the_webhook(sent: Sent) -> None:
    assert sent.project.post_audit(sent.day.of_format(AUDIT)[0].body, token="wrong") == 401


def test_no_port_is_open_to_other_machines(sent: Sent) -> None:
    for service, port in (("kafka", 9092), ("elasticsearch", 9200), ("kubernetes-webhook", 9443)):
        assert sent.project.run("port", service, str(port)).startswith("127.0.0.1:")


def test_no_password_is_in_the_environment_of_a_role(sent: Sent) -> None:
    for service in ("seal", "detect", "index", "rotate", "kubernetes-webhook"):
        shown = sent.project.run("exec", "-T", service, "env")
        assert not any(secret in shown for secret in sent.project.secrets.values()), service


def test_the_production_file_fits_onto_the_main_one(sent: Sent) -> None:
    files = ("-f", "docker-compose.yml", "-f", "docker-compose.production.yml", "--profile", "*")
    merged = json.loads(sent.project.run(*files, "config", "--format", "json"))["services"]
    assert merged["elasticsearch"]["ulimits"]["memlock"] == {"soft": -1, "hard": -1}
    assert merged["elasticsearch"]["environment"]["discovery.type"] == "single-node"
    assert {merged[role]["restart"] for role in ("seal", "detect", "index", "rotate")} == {"always"}


def _items(body: bytes) -> int:
    return len(json.loads(body)["items"])
