"""What a collector that ended left in its spool comes to the brokers, and nothing of it is forgotten before."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from ingest.settings import CollectorSettings
from ingest.spool import Spool
from ingest.transports.contract import Place
from ingest.transports.kubernetes_webhook.delivery import Posted
from ingest.transports.registry import as_collector, open_leftover
from ingest.transports.spooled import encode
from ingest.transports.syslog.delivery import Received
from skytrail.collecting import empty_spool
from skytrail.settings import Settings
from tests.ingest.fakes import MemoryPublisher

AT = dt.datetime(2026, 11, 28, tzinfo=dt.UTC)
EVENTS = [b'{"auditID":"%d","stage":"Panic","verb":"get"}' % number for number in range(40)]


def collector(transport: str, tmp_path: Path) -> CollectorSettings:
    pem = tmp_path / "a.pem"
    own = {"certificate_file": pem, "key_file": pem, "port": 9443, "host": "127.0.0.1"}
    if transport == "kubernetes_webhook":
        own["token_file"] = pem
    made: CollectorSettings = as_collector({"transport": transport, "format": "kubernetes.audit", transport: own})
    return made


async def spooled(tmp_path: Path, transport: str) -> None:
    spool = Spool(tmp_path / "spool" / "hook", 10**7)
    for event in EVENTS:
        one = Posted("shop", AT, event) if transport == "kubernetes_webhook" else Received("shop", "tcp", AT, event)
        await spool.append(encode(one))
    await spool.close()


@pytest.mark.parametrize("transport", ["kubernetes_webhook", "syslog"])
async def test_what_lies_in_the_spool_comes_to_the_brokers_once(
    tmp_path: Path, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await spooled(tmp_path, transport)
    publisher = MemoryPublisher()
    monkeypatch.setattr("skytrail.collecting.KafkaPublisher", lambda *_args, **_named: publisher)
    settings, found = collector(transport, tmp_path), Settings(state_dir=tmp_path)
    assert await empty_spool("hook", settings, found, 20) == 0
    assert sorted(publisher.records) == sorted(EVENTS)
    assert {each.header.collector for each in publisher.envelopes} == {"hook/shop"}
    assert {each.header.received_at for each in publisher.envelopes} == {AT}
    assert await empty_spool("hook", settings, found, 20) == 0
    assert len(publisher.records) == len(EVENTS)


async def test_while_the_brokers_are_away_all_of_it_stays_and_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await spooled(tmp_path, "syslog")
    publisher = MemoryPublisher()
    publisher.away = True
    monkeypatch.setattr("skytrail.collecting.KafkaPublisher", lambda *_args, **_named: publisher)
    settings, found = collector("syslog", tmp_path), Settings(state_dir=tmp_path)
    assert await empty_spool("hook", settings, found, 0.3) == len(EVENTS)
    publisher.away = False
    assert await empty_spool("hook", settings, found, 20) == 0
    assert sorted(set(publisher.records)) == sorted(EVENTS)


async def test_nothing_is_left_of_a_collector_without_a_spool(tmp_path: Path) -> None:
    place = Place("hook", tmp_path, print, lambda: AT)
    assert open_leftover(collector("syslog", tmp_path), place) is None
    assert not (tmp_path / "spool").exists()
    files = as_collector({"transport": "files", "format": "aws.cloudtrail", "files": {"paths": ["a"]}})
    assert open_leftover(files, place) is None
