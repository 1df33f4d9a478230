"""A review of access tells what Elasticsearch, ledgers and disks answer; what nobody answered is not measured."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, get_args

import pytest
from aiohttp import web
from pydantic import SecretStr

from ingest.schema.action import Action
from skytrail.reports.evidence.people import REVIEWED_WITHIN, access_reviewed
from skytrail.reports.facts import Ground
from skytrail.reports.gathering import Asked
from skytrail.reports.key_files import key_files
from skytrail.reports.kinds import log_review
from skytrail.reports.kinds.access_review import gather
from skytrail.reports.report import Section, Verdict
from skytrail.settings import Settings
from storage.index.client import Identity, connect
from storage.ledger.keyring import KeyRing
from storage.settings import ElasticsearchSettings, LedgerSettings, Login
from tests.skytrail.reports.sealed_actions import seal_actions
from tests.storage.index.fake_elasticsearch import HEADERS

NOW = dt.datetime(2026, 11, 27, 10, tzinfo=dt.UTC)
START = re.compile(r'"gte":"([^"]+)"')
ALL = get_args(Identity)
READ = {"cluster": ["monitor"], "indices": [{"names": ["logs-*"], "privileges": ["read"]}]}


def action(name: str, age: dt.timedelta, **audit: Any) -> dict[str, Any]:
    return {
        "@timestamp": (NOW - age).isoformat(),
        "event": {"action": name, "outcome": "success"},
        "user": {"name": "ann"},
        "host": {"name": "desk-1"},
        "skytrail": {"audit": audit},
    }


REVIEW = action("report.sign-off", dt.timedelta(days=3), target="access-review", details={"period": "2026-H2"})


def signed_off(root: Path, *each: tuple[str, str, dt.timedelta]) -> None:
    """Seal sign-offs, as (what, period, age), in the archive of an installation."""
    seal_actions(
        root / "archive",
        [
            Action(
                id=f"a{number}",
                at=NOW - age,
                actor="ann",
                host="desk-1",
                program="cli",
                name="report.sign-off",
                kind="change",
                outcome="success",
                target=what,
                details={"period": period, "comment": "looked"},
            )
            for number, (what, period, age) in enumerate(each)
        ],
    )


class FakeSecurity:
    """An Elasticsearch with the security API: who asks is who the header says, and nothing that is tried succeeds."""

    def __init__(self, actions: list[dict[str, Any]], *, run_as: tuple[str, ...] = (), in_files: bool = False) -> None:
        self.actions = actions
        self.run_as = list(run_as)
        self.own = {} if in_files else {"auditor": {"roles": ["skytrail_auditor"], "enabled": True}}

    async def answer(self, request: web.Request) -> web.Response:
        path = request.path
        user = base64.b64decode(request.headers["Authorization"][6:]).decode().partition(":")[0]
        known: Mapping[str, Any] = {
            "/_security/_authenticate": {
                "username": user,
                "roles": [f"skytrail_{user}"],
                "authentication_type": "realm",
                "authentication_realm": {"name": "native1", "type": "native"},
            },
            "/_security/user/_privileges": {**READ, "global": [], "applications": [], "run_as": self.run_as},
            "/_security/user/_has_privileges": {"cluster": {}, "index": {}},
            "/_security/user": {
                "bob": {"roles": ["staff"], "enabled": False},
                "eve": {"roles": [], "enabled": True},
                **self.own,
            },
            "/_security/role": {"staff": READ, "skytrail_auditor": {"cluster": ["monitor", "read_security"]}},
            "/_security/role_mapping": {},
            "/_security/api_key": {
                "api_keys": [
                    {
                        "name": "export",
                        "username": "eve",
                        "realm": "native1",
                        "invalidated": False,
                        "role_descriptors": {},
                        "limited_by": [{"staff": READ}],
                    }
                ]
            },
        }
        if path in known:
            return web.json_response(known[path], headers=HEADERS)
        if path.endswith("/_pit"):
            return web.json_response({"id": "view"}, headers=HEADERS)
        if path == "/_search":
            start = dt.datetime.fromisoformat(START.findall(await request.text())[0])
            kept = [each for each in self.actions if dt.datetime.fromisoformat(each["@timestamp"]) >= start]
            hits = [{"_index": "i", "_id": str(n), "_source": each, "sort": [n]} for n, each in enumerate(kept)]
            return web.json_response({"hits": {"hits": hits}}, headers=HEADERS)
        error = {"status": 403, "error": {"type": "security_exception", "reason": "told so"}}
        return web.json_response(error, status=403, headers=HEADERS)


@asynccontextmanager
async def asking(fake: FakeSecurity, root: Path, logins: tuple[str, ...] = ALL) -> AsyncIterator[Asked]:
    app = web.Application()
    app.router.add_route("*", "/{_:.*}", fake.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    own = {name: Login(username=name, password=SecretStr("secret")) for name in logins}
    told = ElasticsearchSettings(url="http://{}:{}".format(*runner.addresses[0][:2]), **own)
    client = connect(told, "reader")
    try:
        yield Asked(Settings(state_dir=root, elasticsearch=told), client, None, None, NOW, NOW)
    finally:
        await client.close()
        await runner.cleanup()


async def made(fake: FakeSecurity, root: Path, logins: tuple[str, ...] = ALL) -> dict[str, Section]:
    async with asking(fake, root, logins) as asked:
        return {section.name: section for section in await gather(asked)}


async def test_identities_and_everybody_else_are_told_as_elasticsearch_tells_them(tmp_path: Path) -> None:
    signed_off(tmp_path, ("access-review", "2026-H2", dt.timedelta(days=3)))
    found = await made(FakeSecurity([REVIEW]), tmp_path)
    identities = found["identities"]
    assert identities.verdict is Verdict.PASS
    assert [row[:4] for row in identities.rows] == [(name, name, "native1", f"skytrail_{name}") for name in ALL]
    assert {row[-1] for row in identities.rows} == {"nothing; it was attempted"}
    assert found["everybody"].rows == (
        ("user", "bob", False, "staff", "read on logs-*"),
        ("API key", "export of eve (native1)", True, "staff", "read on logs-*"),
    )
    assert "2 of 4 users, mappings and API keys" in found["everybody"].text
    assert found["uses"].rows == (("ann", 1, REVIEW["@timestamp"], "desk-1", "report.sign-off"),)
    assert (found["reviews"].verdict, found["reviews"].rows[0][:2]) == (Verdict.PASS, ("2026-H2", "ann"))


async def test_a_list_without_the_auditor_itself_is_no_list_of_everybody(tmp_path: Path) -> None:
    everybody = (await made(FakeSecurity([], in_files=True), tmp_path))["everybody"]
    assert (everybody.verdict, everybody.rows) == (Verdict.NOT_MEASURED, ())
    assert "auditor of the realm native1, is not among the 3" in everybody.text


async def test_who_may_act_as_another_has_more_than_their_duty(tmp_path: Path) -> None:
    identities = (await made(FakeSecurity([], run_as=("elastic",)), tmp_path))["identities"]
    assert identities.verdict is Verdict.FAIL
    assert identities.rows[0][-1] == "act as elastic"


async def test_identities_without_a_login_and_an_archive_without_a_ledger_are_not_measured(tmp_path: Path) -> None:
    found = await made(FakeSecurity([]), tmp_path, ("reader",))
    assert [found[name].verdict for name in ("identities", "everybody", "deciders", "keys")] == [
        Verdict.NOT_MEASURED
    ] * 4
    assert found["reviews"].verdict is Verdict.FAIL


async def test_a_review_counts_for_half_a_year(tmp_path: Path) -> None:
    for age, holds in ((dt.timedelta(days=3), True), (REVIEWED_WITHIN + dt.timedelta(days=1), False)):
        root = tmp_path / str(holds)
        signed_off(root, ("access-review", "2026-H1", age))
        async with asking(FakeSecurity([]), root) as asked:
            assert (await access_reviewed(Ground(asked), "")).holds is holds


async def test_a_sign_off_that_somebody_wrote_into_elasticsearch_counts_for_nothing(tmp_path: Path) -> None:
    async with asking(FakeSecurity([REVIEW]), tmp_path) as asked:
        assert (await access_reviewed(Ground(asked), "")).holds is False


async def test_reviews_of_days_and_weeks_are_told_with_who_and_when_and_what_lacks(tmp_path: Path) -> None:
    days = [("daily", f"2026-11-{day}", dt.timedelta(days=26 - day, hours=2)) for day in range(16, 23)]
    early = ("daily", "2026-11-24", dt.timedelta(days=3))  # before its end
    signed_off(tmp_path, *days, early, ("access-review", "2026-H2", dt.timedelta(days=1)))
    async with asking(FakeSecurity([]), tmp_path) as asked:
        whole = dataclasses.replace(asked, start=dt.datetime(2026, 11, 16, tzinfo=dt.UTC))
        daily, weekly, others = await log_review.gather(whole)
    assert (daily.verdict, weekly.verdict) == (Verdict.FAIL, Verdict.PASS)
    assert [(row[0], row[1]) for row in daily.rows] == [
        *((f"2026-11-{day}", True) for day in range(16, 23)),
        *((f"2026-11-{day}", False) for day in range(23, 26)),
    ]
    assert daily.rows[0][1:] == (True, "ann", "2026-11-17T08:00:00Z", 0, "looked", 0, 0)
    assert [row[:3] for row in weekly.rows] == [("2026-W47", True, "ann")]
    assert [row[:3] for row in others.rows] == [("access-review", "2026-H2", "ann")]


@pytest.fixture
def installed(tmp_path: Path) -> Settings:
    settings = Settings(state_dir=tmp_path, ledger=LedgerSettings(keys_file=tmp_path / "ledger" / "keys.json"))
    KeyRing(settings.keys_file).add_first(NOW - dt.timedelta(days=1), days=30)
    keks = tmp_path / "datakeys" / "keks"
    keks.mkdir(parents=True)
    (keks / "20261101T000000000000Z.kek").touch(0o600)
    return settings


def test_keys_are_listed_with_who_may_read_them(installed: Settings) -> None:
    section = key_files(installed, NOW)
    assert section.verdict is Verdict.PASS
    assert [(row[0].split()[0], row[3], row[6], row[7]) for row in section.rows] == [
        ("ledger", "0600", "signs", True),
        ("ledger", "0600", "signs", True),
        ("wrapping", "0600", "in use", True),
    ]


def test_credentials_that_may_unwrap_are_listed_too(tmp_path: Path) -> None:
    file = tmp_path / "google.json"
    file.touch(0o644)
    own = {"key": "projects/acme/locations/global/keyRings/k/cryptoKeys/a", "credentials_file": file}
    settings = Settings(state_dir=tmp_path, archive={"encryption": {"google_cloud_kms": own}})  # type: ignore[arg-type]
    section = key_files(settings, NOW)
    assert [(row[0], row[-1]) for row in section.rows] == [("credentials of google_cloud_kms", False)]
    assert section.verdict is Verdict.FAIL


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_that_others_may_read_fails(installed: Settings, mode: int) -> None:
    next(installed.keys_file.parent.glob("*.ed25519.pem")).chmod(mode)
    section = key_files(installed, NOW)
    assert section.verdict is Verdict.FAIL
    assert [row[7] for row in section.rows] == [False, True, True]


def test_a_key_that_is_away_fails_unless_it_has_ended(installed: Settings) -> None:
    next(installed.keys_file.parent.glob("*.ed25519.pem")).unlink()
    assert key_files(installed, NOW).verdict is Verdict.FAIL
    assert key_files(installed, NOW + dt.timedelta(days=60)).verdict is Verdict.PASS


def test_keys_that_can_not_be_read_are_not_measured(installed: Settings) -> None:
    installed.keys_file.write_text("{")
    section = key_files(installed, NOW)
    assert section.verdict is Verdict.NOT_MEASURED
    assert "could not be read" in section.text
