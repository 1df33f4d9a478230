from typing import Any

import pytest

from ingest.formats.aws_cloudtrail.user_agents import user_agent_of

LINUX: dict[str, Any] = {"name": "Linux"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AWS Internal", {}),
        ("Pulumi", {}),
        ("Jersey/${project.version}", {}),
        ("stratus-red-team_ea782787-a65d-4fc4", {}),
        ("Mozilla/5.0", {}),
        ("console.amazonaws.com", {"name": "console.amazonaws.com"}),
        ("[signin.amazonaws.com]", {"name": "signin.amazonaws.com"}),
        ("python-requests/2.32.3", {"name": "python-requests", "version": "2.32.3"}),
        ("aws-sdk-go/1.55.5 (go1.22.5; linux; amd64)", {"name": "aws-sdk-go", "version": "1.55.5", "os": LINUX}),
        (
            "aws-cli/1.44.2 Python/3.11.6 Darwin/24.6.0 botocore/1.42.2",
            {"name": "aws-cli", "version": "1.44.2", "os": {"name": "macOS", "version": "24.6.0"}},
        ),
        (
            "aws-cli/2.31.4 md/awscrt#0.27.6 ua/2.1 os/linux#6.8.0-kali3-amd64 lang/python#3.13.7",
            {"name": "aws-cli", "version": "2.31.4", "os": {"name": "Linux", "version": "6.8.0-kali3-amd64"}},
        ),
        (
            "Boto3/1.40.61 md/Botocore#1.40.61 os/windows#11 lang/python#3.12",
            {"name": "Boto3", "version": "1.40.61", "os": {"name": "Windows", "version": "11"}},
        ),
        (
            "APN/1.0 HashiCorp/1.0 Terraform/1.13.4 (+https://www.terraform.io) aws-sdk-go-v2/1.39.4 os/linux",
            {"name": "Terraform", "version": "1.13.4", "os": LINUX},
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36 Edg/142.0.3595.53",
            {"name": "Edge", "version": "142.0.3595.53", "os": {"name": "Windows", "version": "10.0"}},
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Version/18.1 Mobile/15E148 Safari/604.1",
            {"name": "Safari", "version": "18.1", "os": {"name": "iOS", "version": "18.1"}},
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
            {"name": "Firefox", "version": "144.0", "os": LINUX},
        ),
    ],
)
def test_what_is_known_of_a_client_is_read(text: str, expected: dict[str, Any]) -> None:
    assert user_agent_of(text) == {"original": text, **expected}


def test_a_long_text_is_kept_whole_and_read_at_its_beginning() -> None:
    text = "aws-cli/2.31.4 " + "x" * 10_000
    assert user_agent_of(text) == {"original": text, "name": "aws-cli", "version": "2.31.4"}
