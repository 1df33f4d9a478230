"""Name, version and operating system from the user agents that AWS clients send.

A modest parser of our own: AWS tools, SDKs, infrastructure tools, browsers and the names of AWS services. What it does
not know gives nothing, and only `user_agent.original` is written.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-appid.html shows how the SDKs build theirs.
"""

from __future__ import annotations

import functools
import re
from typing import Any

_SEARCHED = 512  # characters; what follows names modules and features, and the cache stays small

# The first that is found wins: what a person runs stands before the library that it uses.
_CLIENTS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("Terraform", r"\bTerraform/(?P<version>[\w.+-]+)"),
        ("Pulumi", r"\bpulumi(?:-aws)?/(?P<version>[\w.+-]+)"),
        ("aws-cli", r"\baws-cli/(?P<version>[\w.+-]+)"),
        ("Boto3", r"\bBoto3/(?P<version>[\w.+-]+)"),
        ("Botocore", r"\bBotocore/(?P<version>[\w.+-]+)"),
        ("Edge", r"\bEdg(?:e|A|iOS)?/(?P<version>[\d.]+)"),
        ("Opera", r"\bOPR/(?P<version>[\d.]+)"),
        ("Firefox", r"\bFirefox/(?P<version>[\d.]+)"),
        ("Chrome", r"\b(?:Headless)?Chrome/(?P<version>[\d.]+)"),
        ("Safari", r"\bVersion/(?P<version>[\d.]+) (?:Mobile/\S+ )?Safari/"),
    )
)
_FIRST_PRODUCT = re.compile(r"(?P<name>[A-Za-z][\w.-]{1,63})/v?(?P<version>\d[\w.+-]*)")
_SERVICE = re.compile(r"[a-z][a-z0-9.-]*\.amazonaws\.com")
_SYSTEMS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("iOS", r"\b(?:iPhone|iPad)[^)]*? OS (?P<version>[\d_]+)"),
        ("Android", r"\bAndroid (?P<version>[\d.]+)"),
        (
            "macOS",
            r"\bos/macos#(?P<version>[\d.]+)|\bMac OS X (?P<browser>[\d_.]+)|\bDarwin/(?P<kernel>[\d.]+)|\bdarwin\b",
        ),
        ("Windows", r"\bos/windows#(?P<version>[\d.]+)|\bWindows NT (?P<browser>[\d.]+)|\bWindows/(?P<kernel>[\w.]+)"),
        ("Linux", r"(?i:\bos/linux)#(?P<version>[\w.+-]+)|\bLinux/(?P<kernel>[\w.+-]+)|(?i:\blinux\b)"),
    )
)
_NOT_PRODUCTS = frozenset({"Mozilla", "APN", "HashiCorp"})


def user_agent_of(original: str) -> dict[str, Any]:
    """The ECS `user_agent` of a text: `original`, and what can be read in it."""
    found = {"original": original, **_parsed(original[:_SEARCHED])}
    if "os" in found:
        found["os"] = dict(found["os"])  # what is memoised must not be in two documents
    return found


@functools.lru_cache(maxsize=4096)
def _parsed(text: str) -> dict[str, Any]:
    """Memoised: a few clients make most of the calls."""
    found: dict[str, Any] = {}
    bare = text.strip("[]")  # S3 writes brackets around it
    if _SERVICE.fullmatch(bare):
        found["name"] = bare
        return found
    for name, pattern in _CLIENTS:
        match = pattern.search(bare)
        if match:
            found.update(name=name, version=match["version"])
            break
    else:
        first = _FIRST_PRODUCT.match(bare)
        if first and first["name"] not in _NOT_PRODUCTS:
            found.update(name=first["name"], version=first["version"])
    system = _system(bare)
    if system:
        found["os"] = system
    return found


def _system(text: str) -> dict[str, str]:
    for name, pattern in _SYSTEMS:
        match = pattern.search(text)
        if match:
            version = next((part for part in match.groups() if part), "")
            return {"name": name, "version": version.replace("_", ".")} if version else {"name": name}
    return {}
