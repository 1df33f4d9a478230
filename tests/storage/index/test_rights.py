"""Who may do what, asked of Elasticsearch itself: on the real one, and in answers of the documented form."""

from __future__ import annotations

from typing import Any

import pytest

from ingest.schema.errors import IndexUnavailable
from skytrail.local.credentials import ROLES
from skytrail.local.engines import EngineState
from storage.index.rights import Grant, everybody, grants_of, own_rights, touches_ours
from tests.storage.index.test_duties import IDENTITIES, acting_as, answering

READ = {"cluster": ["monitor"], "indices": [{"names": ["logs-*"], "privileges": ["read"]}], "run_as": []}
OTHER = {"cluster": ["monitor"], "indices": [{"names": ["metrics-*"], "privileges": ["all"]}]}
SUPER = {"cluster": ["all"], "indices": [{"names": ["*"], "privileges": ["all"]}], "run_as": ["*"]}


@pytest.mark.engines
@pytest.mark.parametrize("identity", IDENTITIES)
async def test_each_identity_tells_of_itself_the_rights_of_its_role_and_no_others(
    engines: EngineState, identity: Any
) -> None:
    async with acting_as(engines, identity) as client:
        held = await own_rights(client, identity)
    assert (held.user, held.roles, held.run_as) == (identity, (f"skytrail_{identity}",), ())
    assert set(held.cluster) == set(ROLES[identity]["cluster"])
    told = {name for each in held.indices for name in each.partition(" on ")[2].split(", ")}
    assert told == {name for index in ROLES[identity]["indices"] for name in index["names"]}


@pytest.mark.engines
async def test_a_superuser_in_the_place_of_an_identity_is_told_as_one(engines: EngineState) -> None:
    async with acting_as(engines, "admin") as client:
        held = await own_rights(client, "reader")
    assert held.roles == ("superuser",)
    assert held.cluster == ("all",)


@pytest.mark.engines
async def test_who_may_not_read_security_is_refused_and_learns_nothing(engines: EngineState) -> None:
    async with acting_as(engines, "reader") as client:
        with pytest.raises(IndexUnavailable, match="asking who may do what"):
            await everybody(client)


async def test_an_elasticsearch_without_this_api_is_no_answer() -> None:
    async with answering(400, "illegal_argument_exception") as client:
        with pytest.raises(IndexUnavailable, match="asking who may do what"):
            await everybody(client)


def granted(roles: list[str], **more: Any) -> Grant:
    known = {"read": READ, "other": OTHER, "super": SUPER}
    return next(grants_of({"ann": {"roles": roles, "enabled": True, **more}}, {}, known))


def test_a_user_has_the_rights_of_all_roles_over_our_indices_and_the_cluster() -> None:
    assert granted(["read", "other"]).rights == ("read on logs-*",)
    assert granted(["other"]).rights == ()
    assert granted(["super"]).rights == ("all on *", "all on the cluster", "acts as *")
    assert not granted(["read"], enabled=False).enabled


def test_a_role_that_the_api_does_not_know_is_told_and_not_taken_for_none() -> None:
    assert granted(["of-a-file"]).rights == ("what the role of-a-file gives is not known to the security API",)


def test_a_mapping_gives_its_roles_and_one_by_template_is_unknown() -> None:
    template = {"template": {"source": "{{groups}}"}, "format": "string"}
    mapping = {"enabled": True, "roles": ["read"], "role_templates": [template]}
    (found,) = grants_of({}, {"staff": mapping}, {"read": READ})
    assert (found.kind, found.name) == ("mapping", "staff")
    assert found.rights[0] == "read on logs-*"
    assert "is not known" in found.rights[1]


@pytest.mark.parametrize(
    ("pattern", "ours"),
    [
        ("*", True),
        ("logs-*", True),
        ("lo*", True),
        ("l?gs-x", True),
        ("logs-aws.cloudtrail-acme-2026.11.27", True),
        ("skytrail-alert-state", True),
        ("/.*/", True),
        ("metrics-*", False),
        ("logstash", False),
        ("logs", False),
        ("", False),
    ],
)
def test_patterns_that_can_mean_an_index_of_ours(pattern: str, ours: bool) -> None:  # noqa: FBT001 - of the table
    assert touches_ours(pattern) is ours
