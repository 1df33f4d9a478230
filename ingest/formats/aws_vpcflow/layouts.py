"""Which field stands where in the line of a flow log.

A file begins with a line of names. Without one (log groups, later parts of a large file) the fields follow from their
number, if they are AWS's in AWS's order up to some version, and what they hold confirms it. Nothing else is guessed: of
four addresses nobody can tell which is which.

https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html
"""

from __future__ import annotations

import functools
import re

_BY_VERSION = (
    (2, "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action"),
    (2, "log-status"),
    (3, "vpc-id subnet-id instance-id tcp-flags type pkt-srcaddr pkt-dstaddr"),
    (4, "region az-id sublocation-type sublocation-id"),
    (5, "pkt-src-aws-service pkt-dst-aws-service flow-direction traffic-path"),
    (7, "ecs-cluster-arn ecs-cluster-name ecs-container-instance-arn ecs-container-instance-id ecs-container-id"),
    (7, "ecs-second-container-id ecs-service-name ecs-task-definition-arn ecs-task-arn ecs-task-id"),
    (8, "reject-reason"),
    (9, "resource-id"),
    (10, "encryption-status"),
)
FIELDS = tuple(name for _, names in _BY_VERSION for name in names.split())
"""Every field up to version 10, in the order of AWS's table; the first 14 are the default format."""

_VERSION_OF = {name: version for version, names in _BY_VERSION for name in names.split()}
_KNOWN = frozenset(FIELDS)
_FOLDED = {name.replace("-", ""): name for name in FIELDS}
_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
LONGEST_HEADER = 4096
"""Bytes of a line of names; 42 names have 600."""

_NUMBER, _ADDRESS = r"[0-9]+|-", r"[0-9a-fA-F.:]{2,45}|-"
_SHAPES = {
    "version": r"[0-9]{1,2}",
    "account-id": r"[0-9]{12}|unknown|-",
    "interface-id": r"[a-z]+-[0-9a-zA-Z]+|-",
    "srcaddr": _ADDRESS,
    "dstaddr": _ADDRESS,
    "srcport": r"[0-9]{1,5}|-",
    "dstport": r"[0-9]{1,5}|-",
    "protocol": r"[0-9]{1,3}|-",
    "packets": _NUMBER,
    "bytes": _NUMBER,
    "start": r"[0-9]{9,11}",
    "end": r"[0-9]{9,11}",
    "action": r"ACCEPT|REJECT|-",
    "log-status": r"OK|NODATA|SKIPDATA",
}
_DEFAULT = re.compile(" ".join(f"(?:{_SHAPES[name]})" for name in FIELDS[: len(_SHAPES)]))
_LENGTHS = frozenset(
    position
    for position in range(len(_SHAPES), len(FIELDS) + 1)
    if position == len(FIELDS) or _VERSION_OF[FIELDS[position]] != _VERSION_OF[FIELDS[position - 1]]
)

Layout = tuple[str, ...]


def header_of(line: bytes) -> Layout | None:
    """The names in a line of names; None of a line of values."""
    if len(line) > LONGEST_HEADER or not line.isascii():
        return None
    return _names_of(line.decode("ascii"))


@functools.lru_cache(maxsize=256)
def _names_of(line: str) -> Layout | None:
    names = tuple(line.split())
    if not names or len(set(names)) != len(names) or not all(map(_NAME.fullmatch, names)):
        return None
    # AWS adds fields: a name that we do not know yet is taken as long as most are known
    return names if 2 * len(_KNOWN.intersection(names)) > len(names) else None


def layout_of(values: list[str]) -> Layout | None:
    """AWS's fields in AWS's order, when a line without names has as many and holds what they hold."""
    if len(values) not in _LENGTHS or not _DEFAULT.fullmatch(" ".join(values[: len(_SHAPES)])):
        return None
    return FIELDS[: len(values)]


def field_named(name: str) -> str:
    """AWS's name of a field however a tool spelt it: `pkt-srcaddr` for `pktSrcAddr` and `pkt_srcaddr`."""
    return _FOLDED.get(name.lower().replace("-", "").replace("_", ""), name)
