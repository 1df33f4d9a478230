"""What the ledger says about retention (docs/ledger-format.md, docs/retention.md), judged without the writer's code.

What is gone is lawful if a tombstone announced it, no minimum was left, no hold was open, and those agreed whom the
policy names. A release counts only with its approvals: a hold that was released otherwise is open.
"""

from __future__ import annotations

import datetime as dt
import fnmatch
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from storage.verify.findings import Finding, Kind, Site
from storage.verify.ledger.approvals import disapproved
from storage.verify.ledger.calendar import end_of, span_of_index
from storage.verify.ledger.erasures import Erasure, Sealed, is_on_everything, unlawful
from storage.verify.ledger.keeping import Present, Reason, reasons
from storage.verify.reading import canonical, sha256

_TIMED = {
    "v": "number",
    "type": "text",
    "namespace": "text",
    "at": "text",
    "builder": {"product": "text", "version": "text"},
}
_SELECTOR = {
    "datasets": ["text"],
    "since": ("text", None),
    "until": ("text", None),
    "principal": "text",
    "account": "text",
    "resource": "text",
}
SHAPES: dict[str, dict[str, object]] = {
    "hold": {**_TIMED, "id": "text", "reason": "text", "placed_by": "text", "selector": _SELECTOR},
    "release": {**_TIMED, "id": "text", "request": "text"},
    "tombstone": {
        **_TIMED,
        "id": "text",
        "tier": "text",
        "decision": "text",
        "because": "text",
        "until": "text",
        "policy": "text",
        "dataset": "text",
        "index": "text",
        "uuid": "text",
        "documents": "number",
        "topic": "text",
        "partition": "number",
        "segments": [{"seq": "number", "n": "number", "root": "text", "manifest": "text"}],
        "request": "text",
    },
    "deleted": {**_TIMED, "id": "text"},
}
KINDS = frozenset({"policy", *SHAPES})
_FALLBACK = "P12M"
_RAW = "skytrail.raw."
RENAMED = {"aws.cloudwatch": "aws.cloudwatch_logs", "kubernetes.audit": "kubernetes.audit_logs"}
"""Data sets that are called otherwise than the format in the name of their topic."""


Times = tuple[tuple[str, str] | None, str]
"""When the first and last record of a segment were received, if it tells, and when it was sealed."""


@dataclass(frozen=True, slots=True)
class _Stone:
    """A tombstone, and what was in force when it was written."""

    index: int
    value: dict[str, Any]
    policies: list[dict[str, Any]]
    holds: list[dict[str, Any]]


@dataclass(slots=True)
class Lawful:
    """What the logs of a namespace say about retention, entry by entry.

    Attributes:
        segments: Topic, partition and number of what a tombstone announced.
        indices: Names of the indices that one did.
        shredded: Ids of the data keys, of months and of subjects, that are to be destroyed.
        findings: What is wrong with the entries themselves.
    """

    namespace: str
    segments: dict[tuple[str, int, int], _Stone] = field(default_factory=dict)
    indices: set[str] = field(default_factory=set)
    shredded: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)
    _erasures: dict[str, Erasure] = field(default_factory=dict)
    _newest: dict[str, Erasure] = field(default_factory=dict)
    _policies: list[dict[str, Any]] = field(default_factory=list)
    _holds: dict[str, dict[str, Any]] = field(default_factory=dict)
    _closed: dict[str, str] = field(default_factory=dict)
    _stones: set[str] = field(default_factory=set)

    def take(self, index: int, value: dict[str, Any]) -> None:
        """Read the next entry."""
        match value["type"]:
            case "policy":
                self._policies = [*self._policies, value]
            case "hold":
                self._holds.setdefault(value["id"], value)
            case "release":
                self._release(index, value)
            case "tombstone":
                self._tombstone(index, value)
            case "shred":
                self._erasure(index, value)
            case _ if value["id"] not in self._stones:
                self._wrong(index, f"a receipt for {value['id'][:100]!r}, which nothing announced")

    def judge(self, topic: str, partition: int, manifest: dict[str, Any], digest: str, site: Site) -> Iterator[Finding]:
        """Whether a segment that a tombstone announced might be destroyed then."""
        stone = self.segments[topic, partition, manifest["seq"]]
        row = next(each for each in stone.value["segments"] if each["seq"] == manifest["seq"])
        if (row["n"], row["root"], row["manifest"]) != (manifest["n"], manifest["root"], digest):
            yield site.finding(Kind.UNLAWFUL, f"the tombstone, entry {stone.index}, is about another segment")
            return
        dataset = stone.value["dataset"]
        if not _fits(topic, dataset):
            yield site.finding(Kind.UNLAWFUL, f"entry {stone.index} calls it {dataset!r}, which {topic} does not carry")
        received = _received(manifest)
        stamp = manifest.get("retention")
        if stamp is not None and stone.value["at"] < stamp["retain_until"]:  # times of one form sort as texts
            promised = f"although its own stamp promises to keep it until {stamp['retain_until'][:10]}"
            yield site.finding(Kind.UNLAWFUL, f"it was to be destroyed by entry {stone.index}, {promised}")
        for why in self._reasons(stone, dataset, None, received):
            yield site.finding(Kind.UNLAWFUL, f"it was to be destroyed by entry {stone.index}, {why}")

    def judge_erased(self, key: str, topic: str, manifest: Times, names: Collection[str]) -> Iterator[tuple[str, str]]:
        """Why a person's key must not have gone as an entry said: what forbade it, and in words.

        Args:
            key: Its id.
            topic: Of records that it opened.
            manifest: When these were received and sealed.
            names: Which of `principals` the person is.
        """
        erasure = self._erasures.get(key)
        if erasure is None:
            return
        sealed = Sealed(_dataset(topic), *manifest, names)
        for what, why in unlawful(self.namespace, erasure, sealed):
            yield what, f"was to be destroyed by entry {erasure.index}, {why}"

    def keeping(
        self, key: str, topic: str, manifest: Times, names: Collection[str], at: dt.datetime
    ) -> Iterator[Reason]:
        """Why a person's key may still be there, though an entry said that it was to go.

        Args:
            key: Its id.
            topic: Of records that it opens.
            manifest: When these were received and sealed.
            names: Which of `principals` the person is.
            at: When that is asked.
        """
        if key in self._newest:
            sealed = Sealed(_dataset(topic), *manifest, names)
            yield from reasons(
                self.namespace, self._newest[key], sealed, Present(at, self._policies, self.open_holds())
            )

    @property
    def principals(self) -> frozenset[str]:
        """Those whom holds name that were open when somebody was to be erased, or are open since."""
        erasures = [*self._erasures.values(), *self._newest.values()]
        held = [hold for each in erasures for hold in each.holds]
        return frozenset(
            each["selector"]["principal"] for each in [*held, *(self.open_holds() if erasures else ())]
        ) - {""}

    def open_holds(self) -> list[dict[str, Any]]:
        """The holds that are open after the last entry that was read."""
        return [hold for id_, hold in self._holds.items() if id_ not in self._closed]

    def holding(self, topic: str, manifest: dict[str, Any], settled: str | None) -> tuple[tuple[str, ...], bool]:
        """Open holds that cover a segment, and whether none can be about it.

        Args:
            topic: Of its chain.
            manifest: Its own.
            settled: What was entered or sealed later is left out: the store may not know of it yet. None: nothing is.
        """
        about = [hold for hold in self.open_holds() if _speaks_of(hold["selector"], _dataset(topic))]
        recent = [time for time in (manifest["sealed_at"], *self._closed.values()) if settled and time > settled]
        if manifest["sealed_at"] in recent:
            return (), False
        received = _received(manifest)
        holds = [each for each in about if not (settled and each["at"] > settled)]
        covering = [each["id"] for each in holds if _spans(each["selector"], _dataset(topic), None, received)]
        return tuple(covering), bool(self._holds) and not about and not recent

    def _tombstone(self, index: int, value: dict[str, Any]) -> None:
        if value["id"] in self._stones:
            return
        self._stones.add(value["id"])
        holds = self.open_holds()
        stone = _Stone(index, value, self._policies, holds)
        # What the archive keeps when an index goes is not destroyed: nobody has to agree to it.
        kept = bool(value["index"]) and not value["dataset"].startswith("skytrail.")
        if why := "" if kept else self._disapproved(value, "expiry", None):
            self._wrong(index, f"a tombstone without its approvals: {why}")
        for row in value["segments"]:
            self.segments.setdefault((value["topic"], value["partition"], row["seq"]), stone)
        if not value["index"]:
            return
        self.indices.add(value["index"])
        span = span_of_index(value["index"])
        if span is None or f"logs-{value['dataset']}-{self.namespace}-" not in value["index"]:
            self._wrong(index, f"a tombstone of {value['index'][:100]!r}, which is no index of this namespace")
            return
        # Which documents a narrower hold was about nobody can tell any more.
        narrow = ("principal", "account", "resource")
        broad = [hold for hold in holds if not any(hold["selector"][name] for name in narrow)]
        for why in self._reasons(_Stone(index, value, self._policies, broad), value["dataset"], *span):
            self._wrong(index, f"the index {value['index']} was to be dropped {why}")

    def _reasons(self, stone: _Stone, dataset: str, event: dt.datetime | None, received: dt.datetime) -> Iterator[str]:
        """Why something must not have been destroyed, in words."""
        at = dt.datetime.fromisoformat(stone.value["at"])
        for hold in stone.holds:
            if _spans(hold["selector"], dataset, event, received):
                yield f"while the hold {hold['id']} was open"
        tier = "hot" if stone.value["index"] and not dataset.startswith("skytrail.") else "cold"
        try:
            until, because = self._keep(stone.policies, dataset, received, at, tier)
        except (KeyError, TypeError, ValueError) as exc:
            yield f"by a policy that can't be read: {exc!r}"
            return
        if until is None:
            yield f"although {because}"
        elif at < until:
            yield f"at {at:%Y-%m-%d}, although {because} until {until:%Y-%m-%d}"

    def _keep(
        self, policies: list[dict[str, Any]], dataset: str, received: dt.datetime, at: dt.datetime, tier: str
    ) -> tuple[dt.datetime | None, str]:
        """Up to when it had to be kept, and why."""
        found: list[tuple[dt.datetime, str]] = []
        current = False
        for number, entry in enumerate(policies):
            newest = number + 1 == len(policies)
            if not newest and dt.datetime.fromisoformat(policies[number + 1]["at"]) <= received:
                continue
            rule = self._class(entry["policy"], dataset)
            current = newest and rule is not None
            if rule is not None:  # at both moments: a row that begins later shortens nothing
                found += _periods(entry["policy"], rule, received, received, tier)
                found += _periods(entry["policy"], rule, received, at, tier)
        if not current:
            return None, f"no class of the policy in force speaks of {dataset}"
        return max(found)

    def _class(self, policy: dict[str, Any], dataset: str) -> dict[str, Any] | None:
        for rule in policy["class"]:
            names = any(fnmatch.fnmatchcase(self.namespace, each) for each in rule["namespaces"])
            if names and any(fnmatch.fnmatchcase(dataset, each) for each in rule["datasets"]):
                return dict(rule)
        return None

    def _release(self, index: int, value: dict[str, Any]) -> None:
        if value["id"] not in self._holds:
            self._wrong(index, f"the release of {value['id'][:100]!r}, which is no hold")
        elif why := self._disapproved(value, "release", value["id"]):
            self._wrong(index, f"the release of {value['id'][:100]!r} counts for nothing: {why}")
        else:
            self._closed[value["id"]] = value["at"]

    def _erasure(self, index: int, value: dict[str, Any]) -> None:
        """An entry by which keys of people go: others agreed, and nothing held all of it."""
        about = sha256(canonical({"keys": sorted(value["keys"]), "namespace": self.namespace}))
        if why := self._disapproved(value, "erasure", about):
            self._wrong(index, f"a person was to be erased without the approvals for it: {why}")
        holds = self.open_holds()
        for hold in holds:
            if is_on_everything(hold["selector"]):
                self._wrong(index, f"a person was to be erased while the hold {hold['id']} was open")
        erasure = Erasure(index, value["at"], self._policies, holds)
        for key in value["keys"]:
            self._erasures.setdefault(key, erasure)
            self._newest[key] = erasure

    def _disapproved(self, value: dict[str, Any], action: str, subject: str | None) -> str:
        policy = self._policies[-1]["policy"] if self._policies else None
        return disapproved(policy, value, action, subject, self.namespace)

    def _wrong(self, index: int, detail: str) -> None:
        site = Site(namespace=self.namespace, key=f"{self.namespace}/log/")
        self.findings.append(site.finding(Kind.UNLAWFUL, detail, entry=index))


def _periods(
    policy: dict[str, Any], rule: dict[str, Any], received: dt.datetime, at: dt.datetime, tier: str
) -> list[tuple[dt.datetime, str]]:
    """Every period that a policy promises, as (end, reason)."""
    found: list[tuple[dt.datetime, str]] = []
    cold: list[tuple[dt.datetime, str]] = []
    for row in policy["regime"]:
        inside = row["valid_from"] <= f"{at:%Y-%m-%d}" and row.get("valid_to", "9999") > f"{received:%Y-%m-%d}"
        if row["regime"] not in rule["regimes"] or not inside:
            continue
        if row.get("minimum"):
            cold.append((end_of(received, row["minimum"]), f"{row['id']} asks for {row['minimum']}"))
        if tier == "hot" and row.get("minimum_hot"):
            found.append((end_of(received, row["minimum_hot"]), f"{row['id']} asks for {row['minimum_hot']} hot"))
    if tier == "hot" and rule["hot"]:
        return [*found, (end_of(received, rule["hot"]), f"class {rule['name']!r} keeps {rule['hot']} hot")]
    if tier == "hot" and found:
        return found
    if rule["cold"]:
        return [*found, *cold, (end_of(received, rule["cold"]), f"class {rule['name']!r} keeps {rule['cold']}")]
    return [*found, *cold] or [(end_of(received, _FALLBACK), f"class {rule['name']!r} keeps {_FALLBACK}")]


def _spans(selector: dict[str, Any], dataset: str, event: dt.datetime | None, received: dt.datetime) -> bool:
    """Whether a hold can have been about something of a data set and a time."""
    if not _speaks_of(selector, dataset):
        return False
    if selector["since"] and received < dt.datetime.fromisoformat(selector["since"]):
        return False
    return not selector["until"] or event is None or event < dt.datetime.fromisoformat(selector["until"])


def _fits(topic: str, dataset: str) -> bool:
    """Whether a topic can carry a data set: those of a format have its vendor in front, others the topic's name."""
    if topic.startswith(_RAW):
        return topic.removeprefix(_RAW).split(".")[0] == dataset.split(".", maxsplit=1)[0]
    return dataset in (topic, topic.removesuffix(".v1"))


def _speaks_of(selector: dict[str, Any], dataset: str) -> bool:
    return any(fnmatch.fnmatchcase(dataset, each) for each in selector["datasets"])


def _received(manifest: dict[str, Any]) -> dt.datetime:
    """When the newest record of a segment was received, or when it was sealed."""
    sealed = dt.datetime.fromisoformat(manifest["sealed_at"])
    return (
        sealed if manifest["received"] is None else max(sealed, dt.datetime.fromisoformat(manifest["received"]["max"]))
    )


def _dataset(topic: str) -> str:
    """The data set of what a topic carries (docs/retention.md)."""
    named = topic.removeprefix(_RAW).removesuffix(".v1")
    return RENAMED.get(named, named)
