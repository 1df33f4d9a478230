"""Checks of the settings: they can be read, say nothing unsafe, name rules that load and collectors that can start."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from detectors.proving import OWN_RULES, files_of_others
from detectors.rulebook import load
from ingest.formats.recognition import of_source
from ingest.pseudonyms.key_file import open_pseudonyms
from ingest.schema.errors import ConfigError
from ingest.settings import CollectorSettings
from ingest.transports.registry import inspect
from skytrail.connections import DUTIES
from skytrail.diagnosis.check import Check, failed
from skytrail.settings import Settings
from storage.index.names import check_namespace

_OTHERS_MAY_READ = stat.S_IRGRP | stat.S_IROTH


def safety_checks(settings: Settings) -> list[Check]:
    """What works and should not stay so in production, and what is unsafe."""
    kafka, index = settings.kafka, settings.elasticsearch
    checks = list(_shared_identities(settings))
    if kafka.allow_plaintext:
        mend = "use SASL_SSL and take kafka.allow_plaintext away"
        checks.append(Check("safety", "warn", "kafka.allow_plaintext: logs may travel unencrypted", mend))
    if index.allow_plain_http:
        mend = "use https:// with elasticsearch.ca_file and take elasticsearch.allow_plain_http away"
        checks.append(Check("safety", "warn", "elasticsearch.allow_plain_http: events may travel unencrypted", mend))
    if kafka.min_insync_replicas > kafka.replication_factor:
        found = f"kafka.min_insync_replicas {kafka.min_insync_replicas} > replication_factor {kafka.replication_factor}"
        checks.append(Check("safety", "fail", found, "no message could ever be acknowledged: correct one of them"))
    if kafka.bootstrap_servers and kafka.min_insync_replicas < 2:  # noqa: PLR2004 - one copy is lost with its disk
        mend = "set kafka.replication_factor = 3 and kafka.min_insync_replicas = 2, then `skytrail topics`"
        checks.append(Check("safety", "warn", "one broker alone acknowledges: its disk is the only copy", mend))
    if index.url and index.replicas < 1:
        mend = "set elasticsearch.replicas = 1 where there is more than one node"
        checks.append(Check("safety", "warn", "indices have no replica", mend))
    for name, table in settings.archive.encryption.tables.items():
        if getattr(table, "endpoint", ""):
            found = f"archive.encryption.{name}.endpoint: a server of tests on this machine wraps the data keys"
            checks.append(Check("safety", "warn", found, "take the endpoint away"))
    return checks or [Check("safety", "ok", "nothing unsafe is set")]


def _shared_identities(settings: Settings) -> Iterator[Check]:
    """One identity per duty: who may do two things can undo what the other is for."""
    by_user: dict[str, list[str]] = {}
    for duty in DUTIES:
        login = getattr(settings.elasticsearch, duty)
        if login.username and not login.api_key.get_secret_value():
            by_user.setdefault(login.username, []).append(duty)
    for user, duties in by_user.items():
        if len(duties) > 1:
            mend = "make a user per duty: `skytrail setup --superuser-password-file FILE`"
            yield Check("safety", "fail", f"the user {user} has several duties: {', '.join(duties)}", mend)


def secret_file_checks(files: Iterable[Path]) -> list[Check]:
    """Files with secrets that others on this machine may read."""
    return [
        Check("secret files", "warn", f"{file} can be read by others", f"chmod 600 {file}")
        for file in files
        if file.is_file() and file.stat().st_mode & _OTHERS_MAY_READ
    ]


def pseudonym_checks(settings: Settings) -> list[Check]:
    """Whether the roles index and detect could start here with the pseudonyms that are on."""
    told = settings.pseudonyms
    if not told.namespaces:
        return []
    try:
        keys = open_pseudonyms(told, settings.state_dir, settings.archive_dir).keys
    except ConfigError as exc:
        return [failed("pseudonyms", exc)]
    return [
        Check("pseudonyms", "ok", f"on in {', '.join(told.namespaces)}; {len(keys)} keys, {keys[0].id} makes tokens")
    ]


def rules_checks(settings: Settings) -> list[Check]:
    """Whether every rule and every filter loads."""
    detection = settings.detection
    try:
        book = load(
            [*([OWN_RULES] if detection.shipped_rules else []), *detection.rules],
            detection.placeholders,
            prove=files_of_others,
        )
        load(detection.index_filters, detection.placeholders, strict=True)
    except ConfigError as exc:
        return [failed("rules", exc)]
    told = f"{len(book.rules)} rules, version {book.version}"
    if book.errors:
        found = f"{told}; refused: {'; '.join(map(str, book.errors))}"
        return [Check("rules", "fail", found, "correct what `skytrail rules lint` lists")]
    return [Check("rules", "ok" if book.rules else "warn", told, "" if book.rules else "no rule: nothing is detected")]


def collector_checks(settings: Settings) -> list[Check]:
    """Whether each collector of the settings could start."""
    checks = [check for name, one in settings.collectors.items() for check in collector_check(name, one)]
    return checks or [Check("collectors", "ok", "the settings have none; `skytrail ingest files` needs none")]


def collector_check(name: str, settings: CollectorSettings) -> list[Check]:
    """Whether one collector could start, as far as its settings say."""
    label = f"collector {name}"
    try:
        of_source(settings.format)
        check_namespace(settings.namespace)
        findings = inspect(settings)
    except ConfigError as exc:
        return [failed(label, exc)]
    checks = [Check(label, each.state, each.found, each.mend, denied=each.denied) for each in findings]
    return [*checks, *secret_file_checks(file for each in findings for file in each.secret_files)]
