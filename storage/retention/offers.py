"""Plans as files: those that people store, and those that a round of rotation lays out for people to agree to.

What waits for approvals stays the same plan, byte by byte, until it is carried out: signatures are about its bytes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ingest.schema.errors import ConfigError, StoreUnavailable
from storage.archive.manifest import digest
from storage.retention.applying import Approved
from storage.retention.plan import Item, Plan, make_plan
from storage.retention.record import State


def read_plan(path: Path) -> tuple[bytes, Plan]:
    """A stored plan and its bytes.

    Raises:
        ConfigError: It is none.
    """
    mend = "`skytrail retention plan --out FILE` writes one"
    try:
        body = path.read_bytes()
        plan = msgspec.json.decode(body, type=Plan)
    except OSError as exc:
        raise ConfigError(f"reading a plan: {exc.strerror}", where=str(path), mend=mend) from exc
    except msgspec.MsgspecError as exc:
        raise ConfigError(f"reading a plan: {exc}", where=str(path), mend=mend) from exc
    if plan.encode() != body:
        raise ConfigError("reading a plan: it was changed after it was made", where=str(path), mend=mend)
    return body, plan


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan of one namespace that people must agree to.

    Attributes:
        path: Where the plan lies; the signed request belongs beside it, with the ending `.request`.
        request: The signed request; empty where nobody has asked yet.
    """

    namespace: str
    path: Path
    plan: Plan
    request: str

    @property
    def approved(self) -> Approved:
        """What the request stands for."""
        return Approved(digest(self.plan.encode()), self.request)

    @property
    def request_path(self) -> Path:
        """Where the signed request is looked for."""
        return _request_path(self.path)


class Offers:
    """The plans that wait, one per namespace, in a directory of this machine.

    Args:
        directory: Made when the first one is laid out.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def lay_out(self, namespace: str, items: Sequence[Item], state: State, now: dt.datetime) -> Offer | None:
        """The plan that waits for approvals: the one that was laid out before as long as something of it is still due.

        Args:
            namespace: Whose.
            items: What is due now and needs approvals; nothing: what was laid out goes.
            state: Of the namespace.
            now: The present.

        Raises:
            StoreUnavailable: The directory can't be written.
        """
        path = self._directory / f"{namespace}.plan.json"
        try:
            plan = _waiting(path, items)
            if plan is None:
                _request_path(path).unlink(missing_ok=True)  # it was about another plan
                path.unlink(missing_ok=True)
                if not items:
                    return None
                plan = make_plan(now, {namespace: state}, items)
                self._directory.mkdir(parents=True, exist_ok=True)
                made = path.with_suffix(".new")
                made.write_bytes(plan.encode())
                made.replace(path)
            request = _request_path(path)
            text = request.read_text("utf-8", "replace") if request.exists() else ""
        except OSError as exc:
            mend = "check free space and permissions of state_dir"
            raise StoreUnavailable(f"laying out a plan: {exc}", where=str(path), mend=mend) from exc
        return Offer(namespace, path, plan, text)


def _waiting(path: Path, items: Sequence[Item]) -> Plan | None:
    """The plan that lies there, if something of it is still due."""
    if not path.exists():
        return None
    try:
        _, plan = read_plan(path)
    except ConfigError:
        return None  # a new one replaces what is none
    return plan if any(_overlap(old, new) for old in plan.items for new in items) else None


def _overlap(old: Item, new: Item) -> bool:
    if (old.place, old.uuid) != (new.place, new.uuid):
        return False
    if old.first is None or old.last is None or new.first is None or new.last is None:
        return True
    return old.first <= new.last and new.first <= old.last


def _request_path(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(".plan.json") + ".request")
