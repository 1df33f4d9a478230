"""Public Sigma rules were written from the portal's names; through the aliases they match what Azure really writes."""

import pytest
import yaml

from detectors.rule import Rule, build_rule
from detectors.sigma.engine import InterpretedEngine
from detectors.sigma.parse import parse
from ingest.formats.registry import format_named
from tests.ingest.formats.azure_records.conformity import SHARED, record

HITS = [
    ("activitylogs", "elevate_access", "azure_subscription_permissions_elevation_via_activitylogs"),
    ("activitylogs", "forbidden_rest_api", "azure_keyvault_modified_or_deleted"),
    ("activitylogs", "log_analytics_row", "azure_network_security_modified_or_deleted"),
    ("activitylogs", "role_assignment_event_hubs", "azure_granting_permission_detection"),
    ("signinlogs", "device_code_cut_down", "azure_app_device_code_authentication"),
    ("signinlogs", "guest_over_ropc", "azure_app_ropc_authentication"),
    ("signinlogs", "guest_over_ropc", "azure_ad_only_single_factor_auth_required"),
    ("signinlogs", "guest_over_ropc", "azure_ad_sign_ins_from_unknown_devices"),
    ("signinlogs", "log_analytics_row", "azure_conditional_access_failure"),
    ("signinlogs", "mfa_denied", "azure_mfa_denies"),
    ("signinlogs", "mfa_denied", "azure_mfa_interrupted"),
    ("auditlogs", "application_secret_added", "azure_app_credential_added"),
    ("auditlogs", "conditional_access_policy_deleted", "azure_aad_secops_ca_policy_removedby_bad_actor"),
    ("auditlogs", "consent_to_application", "azure_app_end_user_consent"),
    ("auditlogs", "guest_becomes_member", "azure_guest_to_member"),
    ("auditlogs", "invitation_failed_graph", "azure_guest_invite_failure"),
    ("auditlogs", "log_analytics_row", "azure_federation_modified"),
    ("auditlogs", "member_added_to_role_event_hubs", "azure_ad_users_added_to_device_admin_roles"),
    ("auditlogs", "member_added_to_role_event_hubs", "azure_ad_user_added_to_admin_role"),
    ("identity_protection", "unlikely_travel_event_hubs", "azure_identity_protection_atypical_travel"),
]


def _rule(name: str) -> Rule:
    (path,) = (SHARED / "sigma").rglob(f"{name}.yml")
    return build_rule(parse(yaml.safe_load(path.read_text("utf-8")), where=name), where=name)


@pytest.mark.skipif(not SHARED.exists(), reason="the public rules are not beside this repository")
@pytest.mark.parametrize(("name", "rule"), sorted({(name, rule) for name, _, rule in HITS}))
def test_a_public_rule_fires_on_what_it_is_about_and_not_on_the_rest(name: str, rule: str) -> None:
    format_ = format_named(f"azure.{name}")
    about = {hit for _, hit, other in HITS if other == rule}
    engine = InterpretedEngine([_rule(rule)])
    for other in {hit for log, hit, _ in HITS if log == name}:
        reading = format_.read(record(format_.name, other))
        view = reading.view()
        view.ecs = reading.normalise()
        assert (list(engine.match([view], format_.log_source)) != []) == (other in about)
