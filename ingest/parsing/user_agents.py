"""Name, version and operating system from the user agents of clouds' clients.

A modest parser of our own: Google's and Oracle's tools and libraries, infrastructure tools and browsers. What it does
not know gives nothing, and only `user_agent.original` is written.

https://cloud.google.com/apis/docs/client-libraries-explained
"""

from __future__ import annotations

import functools
import re
from typing import Any

_SEARCHED = 512  # characters; what follows names modules, and the cache stays small

# The first that is found wins: what a person runs stands before the library that it uses.
_CLIENTS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("Terraform", r"\bTerraform/(?P<version>[\w.+-]+)"),
        ("Pulumi", r"\bpulumi[\w-]*/(?P<version>[\w.+-]+)"),
        ("kubectl", r"\bkubectl/v?(?P<version>[\w.+-]+)"),
        ("gcloud", r"\bgoogle-cloud-sdk(?: gcloud)?/(?P<version>[\d.]+)|\bgcloud/(?P<gcloud>[\d.]+)"),
        ("gsutil", r"\bgsutil/(?P<version>[\d.]+)"),
        ("Edge", r"\bEdg(?:e|A|iOS)?/(?P<version>[\d.]+)"),
        ("Opera", r"\bOPR/(?P<version>[\d.]+)"),
        ("Firefox", r"\bFirefox/(?P<version>[\d.]+)"),
        ("Chrome", r"\b(?:Headless)?Chrome/(?P<version>[\d.]+)"),
        ("Safari", r"\bVersion/(?P<version>[\d.]+) (?:Mobile/\S+ )?Safari/"),
    )
)
_FIRST_PRODUCT = re.compile(r"\(?(?P<name>[A-Za-z][\w.-]{1,63})/v?(?P<version>\d[\w.+-]*)")
_SYSTEMS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("iOS", r"\b(?:iPhone|iPad)[^)]*? OS (?P<version>[\d_]+)"),
        ("Android", r"\bAndroid (?P<version>[\d.]+)"),
        ("macOS", r"\bMac OS X (?P<version>[\d_.]+)|\bplatform/mac\b|(?i:\bdarwin\b)|\bMACOSX\b"),
        ("Windows", r"\bWindows NT (?P<version>[\d.]+)|(?i:\bwindows\b)"),
        ("Linux", r"\bLinux/(?P<version>[\w.+-]+)|(?i:\blinux\b)"),
    )
)


def user_agent_of(original: str) -> dict[str, Any]:
    """The ECS `user_agent` of a text: `original`, and what can be read in it."""
    name, version, system, system_version = _parsed(original[:_SEARCHED])
    found: dict[str, Any] = {"original": original}
    if name:
        found["name"] = name
    if version:
        found["version"] = version
    if system:
        found["os"] = {"name": system, "version": system_version} if system_version else {"name": system}
    return found


@functools.lru_cache(maxsize=4096)
def _parsed(text: str) -> tuple[str, str, str, str]:
    """Name, version, system and its version, empty where unknown. Memoised: a few clients make most of the calls."""
    return *_first(_CLIENTS, text, _product(text)), *_first(_SYSTEMS, text, ("", ""))


def _first(known: tuple[tuple[str, re.Pattern[str]], ...], text: str, otherwise: tuple[str, str]) -> tuple[str, str]:
    for name, pattern in known:
        match = pattern.search(text)
        if match:
            return name, next((part for part in match.groups() if part), "").replace("_", ".")
    return otherwise


def _product(text: str) -> tuple[str, str]:
    match = _FIRST_PRODUCT.match(text)
    return (match["name"], match["version"]) if match and match["name"] != "Mozilla" else ("", "")
