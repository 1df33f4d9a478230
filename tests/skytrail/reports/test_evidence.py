"""A fact holds only where its source was read to its end: what nobody looked at is unknown, never good."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast, get_args

import pytest
from aiohttp import web
from elastic_transport import TransportError
from elasticsearch import AsyncElasticsearch
from pydantic import SecretStr

from ingest.schema.errors import IndexUnavailable
from skytrail.reports.evidence.archive import (
    archive_verified,
    archive_witnessed,
    deletions_lawful,
    ledger_fresh,
    two_people,
)
from skytrail.reports.evidence.index import least_privilege
from skytrail.reports.evidence.retention import announced, holds_respected, unplanned
from skytrail.reports.facts import Fact, Ground, Measure
from skytrail.reports.gathering import Asked
from skytrail.reports.kinds.completeness import daily
from skytrail.reports.kinds.integrity import gather
from skytrail.reports.kinds.retention import (
    classes_section,
    destroyed_section,
    holds_section,
    policies_section,
    waiting_section,
)
from skytrail.reports.report import Verdict
from skytrail.settings import Settings
from storage.index.client import Identity
from storage.retention.entries import Destroyed, Receipt, Tombstone, entry_of, policy_entry
from storage.retention.record import Record
from storage.settings import ArchiveSettings, ElasticsearchSettings, EncryptionSettings, LedgerSettings, Login
from tests.storage.archive.samples import TOPIC
from tests.storage.index.fake_elasticsearch import HEADERS
from tests.storage.retention.people import PEOPLE
from tests.storage.retention.samples import policy
from tests.storage.retention.test_record import hold, placed
from tests.storage.verify.encrypted import encrypted
from tests.storage.verify.ledger.samples import ORGANISATION, SETTINGS, MadeArchive, small, witness, writable

KNOWN = (archive_verified, deletions_lawful, holds_respected, archive_witnessed)


def asked(made: MadeArchive, start: dt.datetime | None = None, client: object = None, **settings: Any) -> Asked:
    root = made.root.parent
    own = EncryptionSettings(provider="file", table=root / "datakeys" / "table", kek_directory=root / "datakeys/keks")
    told = Settings(
        state_dir=root,
        archive=ArchiveSettings(directory=made.root, encryption=own),
        ledger=LedgerSettings(organisation=ORGANISATION, keys_file=made.keys.path),
        **settings,
    )
    return Asked(told, cast("AsyncElasticsearch", client), None, start, made.clock(), made.clock())


def found(measure: Measure, question: Asked) -> Fact:
    return asyncio.run(_found(measure, question))


async def _found(measure: Measure, question: Asked) -> Fact:
    return await measure(Ground(question), "")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> MadeArchive:
    """An encrypted archive with a hold; a witness cosigned every ledger in time."""
    settings = SETTINGS | {"quorum": 1, "witnesses": [str(witness("w").key)]}
    made = encrypted(tmp_path_factory.mktemp("whole"), settings)
    placed(Record(made.store, made.log()), hold(), made.clock())
    for namespace in ("acme", "globex", "unreadable"):
        made.anchor(["w"], namespace)
    writable(made.root)
    return made


@pytest.fixture
def made(whole: MadeArchive, tmp_path: Path) -> MadeArchive:
    shutil.copytree(whole.root.parent, tmp_path / "copy")
    copy = MadeArchive(tmp_path / "copy", whole.settings)
    copy.clock.now = whole.clock.now
    return copy


def test_a_whole_encrypted_archive_is_verified_with_its_data_keys(whole: MadeArchive) -> None:
    checked, findings, _ = asyncio.run(gather(asked(whole)))
    assert (checked.verdict, findings.rows) == (Verdict.PASS, ())
    assert [found(measure, asked(whole)).holds for measure in KNOWN] == [True] * 4


def test_a_report_on_a_namespace_says_that_all_were_verified_and_lists_no_finding_of_another(made: MadeArchive) -> None:
    for part in (made.root / "globex" / "seg").rglob("*"):
        if part.is_file() and "manifest" not in part.name:
            part.unlink()
    sections = asyncio.run(gather(dataclasses.replace(asked(made), namespace="acme")))
    assert "The whole archive was verified" in sections[0].text
    assert {row[2] for row in sections[1].rows} <= {"acme"}
    whole = asyncio.run(gather(asked(made)))[1]
    assert ("others are about other namespaces" in sections[1].text) is any(row[2] != "acme" for row in whole.rows)
    assert "globex" in {row[2] for row in whole.rows}


def test_without_the_data_keys_nothing_is_said_to_hold(made: MadeArchive) -> None:
    shutil.rmtree(made.root.parent / "datakeys" / "keks")
    checked, *_ = asyncio.run(gather(asked(made)))
    assert checked.verdict is Verdict.NOT_MEASURED
    told = [found(measure, asked(made)) for measure in KNOWN]
    assert [each.holds for each in told] == [None] * 4
    assert all("nobody knows" in each.told for each in told[1:])


def test_a_verification_that_ended_early_says_that_nothing_holds(made: MadeArchive) -> None:
    manifest = made.root / "acme" / "seg" / TOPIC / "0" / "000000000001.manifest.json"
    manifest.unlink()
    manifest.mkdir()  # reading it fails, as it does where a store stops to answer
    assert not any(found(measure, asked(made)).holds for measure in KNOWN)


def test_segments_that_were_not_read_for_their_time_prove_no_lawful_deletion(whole: MadeArchive) -> None:
    last = json.loads((whole.root / "acme" / "seg" / TOPIC / "0" / "000000000002.manifest.json").read_bytes())
    later = asked(whole, dt.datetime.fromisoformat(last["received"]["min"]))
    for measure in (deletions_lawful, holds_respected):
        fact = found(measure, later)
        assert fact.holds is None
        assert "segments outside of the period were not read" in fact.told
    fact = found(archive_verified, later)
    assert fact.holds
    assert "their place was checked, their bytes not" in fact.told


def test_what_is_gone_without_an_entry_is_known_not_to_be_lawful(made: MadeArchive) -> None:
    next((made.root / "acme" / "seg" / TOPIC / "0").glob("*.ndz")).unlink()
    assert found(deletions_lawful, asked(made)).holds is False


def test_a_ledger_that_asks_for_no_witness_is_not_witnessed_whatever_the_settings_say(tmp_path: Path) -> None:
    alone = small(tmp_path)
    fact = found(archive_witnessed, asked(alone))
    assert fact.holds is False
    assert "ask for no quorum" in fact.told


def test_a_ledger_without_cosignatures_is_known_not_to_be_witnessed(made: MadeArchive) -> None:
    made.beat(passed=600)
    made.beat(passed=600)
    fact = found(archive_witnessed, asked(made))
    assert fact.holds is False
    assert "cosignatures" in fact.told


def test_a_namespace_without_a_ledger_is_not_said_to_be_fresh(made: MadeArchive) -> None:
    assert found(ledger_fresh, asked(made)).holds is True
    (made.root / "forgotten" / "seg").mkdir(parents=True)
    fact = found(ledger_fresh, asked(made))
    assert (fact.holds, "forgotten have no ledger" in fact.told) == (None, True)
    early = dataclasses.replace(asked(made), now=made.clock() - dt.timedelta(hours=1))
    fact = found(ledger_fresh, early)
    assert (fact.holds, "is from the future" in fact.told) == (False, True)


@asynccontextmanager
async def refusing_everything() -> AsyncIterator[str]:
    """An Elasticsearch where nobody may do anything; gives its address."""

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("/_has_privileges"):
            body: dict[str, Any] = {"cluster": {}, "index": {}}
            return web.json_response(body, headers=HEADERS)
        body = {"status": 403, "error": {"type": "security_exception", "reason": "told so"}}
        return web.json_response(body, status=403, headers=HEADERS)

    app = web.Application()
    app.router.add_route("*", "/{_:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(("logins", "holds"), [(get_args(Identity), True), (("reader", "analyst"), None), ((), None)])
async def test_privileges_of_an_identity_that_was_not_tried_are_unknown(
    logins: tuple[str, ...], whole: MadeArchive, *, holds: bool | None
) -> None:
    own = {name: Login(username=name, password=SecretStr("secret")) for name in logins}
    async with refusing_everything() as url:
        question = asked(whole, elasticsearch=ElasticsearchSettings(url=url, **own))
        fact = await least_privilege(Ground(question), "")
    assert fact.holds is holds


class HalfAnswering:
    """An Elasticsearch of which a shard is away: who does not forbid it gets a part of the answer."""

    async def search(self, *, allow_partial_search_results: bool = True, **_: Any) -> dict[str, Any]:
        if not allow_partial_search_results:
            raise TransportError("a shard is away")
        return {"aggregations": {"days": {"buckets": []}}}


async def test_days_are_not_told_from_a_part_of_the_shards(whole: MadeArchive) -> None:
    with pytest.raises(IndexUnavailable):
        await daily(asked(whole, client=HalfAnswering()))


class Closed:
    """An Elasticsearch with closed indices."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.indices = self

    async def get_settings(self, *, expand_wildcards: str, **_: Any) -> dict[str, Any]:
        assert expand_wildcards == "closed"
        return {name: {} for name in self.names}


def test_what_no_plan_speaks_of_is_told(made: MadeArchive) -> None:
    shut = Closed()
    assert asyncio.run(unplanned(Ground(asked(made, client=shut)))) == ""
    (made.root / "acme" / "obj").mkdir()
    (made.root / "forgotten" / "seg").mkdir(parents=True)
    shut.names = ["logs-aws.cloudtrail-acme-2024.11.20", "somebody-elses"]
    told = asyncio.run(unplanned(Ground(asked(made, client=shut))))
    assert told == (
        "forgotten have no ledger; acme keep whole bodies, which no policy reaches; "
        "1 indices are closed, so nobody can look into them: logs-aws.cloudtrail-acme-2024.11.20"
    )


def test_what_was_announced_and_has_no_receipt_is_listed_and_is_not_said_to_be_gone(made: MadeArchive) -> None:
    gone = Destroyed(seq=3, n=7, root="", manifest="")
    stone = Tombstone(
        id="segments/t/0/3-3",
        at="2026-11-26T00:00:00Z",
        tier="cold",
        decision="MUST_ERASE",
        because="the maximum of P1Y ended 2026-11-25",
        until="2026-11-25T00:00:00Z",
        policy="",
        dataset="aws.cloudtrail",
        topic="t",
        segments=(gone,),
    )
    record = Record(made.store, made.log())
    record.enter(lambda state: [] if state.tombstones else [entry_of("acme", made.clock(), stone)])
    told = asyncio.run(announced(Ground(asked(made))))
    assert [(name, each.id) for name, each in told] == [("acme", stone.id)]
    section = waiting_section(told)
    row = ("acme", "aws.cloudtrail", "t/0", 3, 3, 7, stone.until, stone.because)
    assert [each[:-1] for each in section.rows] == [row]
    record.enter(lambda state: [] if state.receipts else [entry_of("acme", made.clock(), Receipt(id=stone.id, at=""))])
    assert asyncio.run(announced(Ground(asked(made)))) == []
    known = {"acme": record.now()}
    later = dataclasses.replace(asked(made), end=made.clock() + dt.timedelta(days=1))
    gone_rows = destroyed_section(known, later).rows
    assert [each[:-3] for each in gone_rows] == [row]
    assert gone_rows[0][-1] is False  # nobody had to agree
    assert destroyed_section(known, dataclasses.replace(later, end=made.clock() - dt.timedelta(days=1))).rows == ()


def test_policies_their_clauses_and_holds_are_told_as_the_ledger_has_them(made: MadeArchive) -> None:
    record = Record(made.store, made.log())
    before = {"acme": record.now()}
    assert (policies_section(before).verdict, policies_section({}).verdict) == (Verdict.FAIL, Verdict.FAIL)
    told = policy({"name": "cards", "regimes": ["pci-dss"], "hot": "P6M"}, people=PEOPLE)
    record.enter(lambda state: [] if state.policy == told else [policy_entry("acme", made.clock(), told)])
    known = {"acme": record.now()}
    policies = policies_section(known)
    assert policies.verdict is Verdict.PASS
    assert (policies.rows[0][:2], policies.rows[0][3:6]) == (("acme", "acme"), (3, 2, 0))
    (row,) = classes_section(known).rows
    assert row[:3] == ("acme", "cards", "*")
    assert "pci-dss-4.0.1-10.5.1 (Requirement 10.5.1)" in row[3]
    assert row[4:] == ("P6M", "by clause", "", "")
    holds = holds_section(known)
    assert "1 of 1 holds are in force" in holds.text
    assert holds.rows[0][:7] == ("acme", "case-7", "*, principal mallory", "", "", "claim 7/26", "alice")
    assert holds.rows[0][-1] == "in force"


@pytest.mark.parametrize(
    ("what", "approvals", "people", "holds"),
    [
        ("release", {"release": 1}, 2, True),
        ("release", {"release": 2}, 2, False),  # one asks and two agree: nobody could ever release
        ("release", {"release": 2}, 3, True),
        ("expiry", {"expiry": 0}, 3, False),
        ("expiry", {"expiry": 1}, 1, False),
        ("expiry", {"expiry": 1}, 2, True),
    ],
)
def test_two_people_are_the_one_who_asks_and_another_and_both_have_keys(
    what: str, approvals: dict[str, int], people: int, made: MadeArchive, *, holds: bool
) -> None:
    keys = dict(list(PEOPLE.items())[:people])
    told = policy({"name": "x", "cold": "P1Y"}, approvals=approvals, people=keys)
    record = Record(made.store, made.log())
    record.enter(lambda state: [] if state.policy == told else [policy_entry("acme", made.clock(), told)])
    question = dataclasses.replace(asked(made), namespace="acme")
    assert found(lambda ground, _: two_people(ground, what), question).holds is holds
