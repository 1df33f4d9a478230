"""Set-up files of a source: templates beside this module, filled with what the operator said.

A template is a complete CloudFormation, Terraform or YAML file in which `@{name}` stands for a value; `${…}` belongs to
the file's own language. Filling is pure. A value goes into files that create identities and policies, so each is held
against a pattern first: nothing that could close a quotation gets in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from ingest.schema.errors import ConfigError

_PLACE = re.compile(r"@\{([a-z_]+)\}")
_TEMPLATES = resources.files("skytrail.onboarding") / "templates"


@dataclass(frozen=True, slots=True)
class SetupFile:
    """A file that the operator applies.

    Attributes:
        name: As which it is written.
        text: Its content.
    """

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class SetUp:
    """What sets a source up.

    Attributes:
        files: What to apply in the cloud.
        collector: The section of `skytrail.toml`, with places in angle brackets for what the cloud answers.
        steps: What to do with them, in order.
    """

    files: tuple[SetupFile, ...]
    collector: str
    steps: tuple[str, ...]


def fill(template: str, values: Mapping[str, str]) -> SetupFile:
    """A template with its places filled.

    Args:
        template: Path below `templates/`, e.g. `aws/main.tf`.
        values: What stands for each name.
    """
    text = _TEMPLATES.joinpath(*template.split("/")).read_text("utf-8")
    return SetupFile(template.rsplit("/", 1)[-1], _PLACE.sub(lambda found: values[found[1]], text))


def checked(what: str, value: str, pattern: str, example: str) -> str:
    """The value, if it has the form that the cloud gives such things.

    Raises:
        ConfigError: It has not.
    """
    if re.fullmatch(pattern, value):
        return value
    raise ConfigError(f"checking {what}: {value!r} is not of the form {example}", mend=f"give {what} as {example}")


def namespaced(namespace: str) -> str:
    """The namespace, if a collector may have it.

    Raises:
        ConfigError: It may not.
    """
    return checked("the namespace", namespace, r"[a-z0-9][a-z0-9_.]{0,99}", "prod")
