"""A detection: one rule matched one event. What travels on the signals topic, in batches, to the alert agent.

Wire form of a batch: one version byte, then a msgpack array of detections.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from detectors.reason import clean, word_reason
from detectors.rule import Rule
from detectors.sigma.engine import Engine, known_aliases
from detectors.sigma.fields import Fields
from detectors.sigma.values import text_of
from ingest.document import Identified
from ingest.formats.contract import LogSource, View
from ingest.schema.errors import UnsupportedEnvelope

VERSION = 1
MAX_GROUP_KEY = 512  # characters; a longer one is cut and told apart by its hash
MAX_MEMBER = 40  # characters
MAX_LIST = 50  # values of a list, e.g. of `related.*`, that an alert repeats
MAX_TEXT = 1024  # characters of a text that an alert repeats

_CONTEXT: Mapping[str, tuple[str, ...]] = {
    "event": ("action", "outcome", "provider"),
    "user_agent": ("original",),
    "user": (),
    "source": (),
    "cloud": (),
    "orchestrator": (),
    "related": (),
    "skytrail": ("pseudonyms",),
}
"""Parts of the event that its alert repeats; an empty tuple takes the whole object."""


class EventRef(msgspec.Struct, frozen=True):
    """A matched event: where its document lies and the hex leaf hash of its bytes."""

    index: str
    id: str
    hash: str


class Principal(msgspec.Struct, frozen=True):
    """The actor across clouds; parts that are unknown are ""."""

    key: str = ""
    type: str = ""
    display: str = ""


class Match(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an alert counts and lists.

    Attributes:
        member: What it counts once (stages and replays of one action have one member).
        at: Event time, UTC.
    """

    member: str
    event: EventRef
    at: dt.datetime


class Detection(msgspec.Struct, frozen=True, kw_only=True):
    """One match of a rule, or several of a correlation that belong to one alert.

    Attributes:
        ruleset_version: Version of the whole rule set that matched.
        group_key: Values of the rule's suppression fields, joined so that different values never give one key.
        window_seconds: Detections with one group key within this time of the event clock are one alert.
        member: Of the match that people read about; see `Match`, as for `event` and `at`.
        context: Parts of the ECS document that the alert repeats.
        alert: Id of the alert it belongs to, where the detection knows it (correlations); "": the suppression decides.
        more: Further matches of the same alert.
        count: Matches the correlation knew when it told this; more than are listed where they take several detections.
        threshold: How many matches it took.
        title: Of the rule, as its level: what the alert shows where the rule is not loaded.
    """

    rule_id: str
    rule_version: str
    ruleset_version: str
    namespace: str
    format: str
    group_key: str
    window_seconds: int
    member: str
    event: EventRef
    at: dt.datetime
    principal: Principal
    reason: str
    context: Mapping[str, Any]
    alert: str = ""
    more: tuple[Match, ...] = ()
    count: int = 1
    threshold: int = 1
    title: str = ""
    level: str = ""

    @property
    def matches(self) -> tuple[Match, ...]:
        """All of them, the one that people read about first."""
        return (Match(self.member, self.event, self.at), *self.more)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[Detection, ...])


def encode(batch: Sequence[Detection]) -> bytes:
    """Serialise a batch; `decode` gives back an equal one."""
    return bytes((VERSION,)) + _encoder.encode(tuple(batch))


def encode_within(found: Iterable[Detection], most: int, size: int) -> list[bytes]:
    """Serialise detections as batches of at most `most` and about `size` bytes; one that is larger goes alone."""
    batches = cut(map(_encoder.encode, found), most, size)
    return [bytes((VERSION,)) + _encoder.encode([msgspec.Raw(each) for each in batch]) for batch in batches]


def cut(parts: Iterable[bytes], most: int, size: int) -> Iterator[list[bytes]]:
    """Runs of at most `most` parts and `size` bytes, in order; a part that is larger stands alone."""
    run: list[bytes] = []
    length = 0
    for part in parts:
        if run and (len(run) >= most or length + len(part) > size):
            yield run
            run, length = [], 0
        run.append(part)
        length += len(part)
    if run:
        yield run


def decode(message: bytes | None) -> tuple[Detection, ...]:
    """Read a Kafka message value.

    Raises:
        UnsupportedEnvelope: Empty, of another version, or not a batch: the whole message is a dead letter.
    """
    if not message:
        raise UnsupportedEnvelope("decoding detections: the message is empty")
    if message[0] != VERSION:
        raise UnsupportedEnvelope(
            f"decoding detections: version byte is {message[0]}, this build reads {VERSION}",
            mend="upgrade this worker, or find out who writes to the signals topic",
        )
    try:
        return _decoder.decode(memoryview(message)[1:])
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, OverflowError, RecursionError) as exc:
        raise UnsupportedEnvelope(f"decoding detections: {exc}") from exc


def detect(
    engine: Engine,
    views: Sequence[View],
    identified: Sequence[Identified],
    source: LogSource,
    *,
    ruleset_version: str,
    index_of: Callable[[Identified], str],
) -> list[Detection]:
    """Run the rules over events and word what they found. Pure.

    Args:
        engine: The rules.
        views: What rules see; `View.ecs` is filled.
        identified: The same events in the same order, as they are indexed.
        source: Log source of their format.
        ruleset_version: Version of the rule set behind the engine.
        index_of: Name of the index in which an event's document lies.
    """
    return word_matches(
        engine.match(views, source), views, identified, source, ruleset_version=ruleset_version, index_of=index_of
    )


def word_matches(
    matches: Iterable[tuple[int, Rule]],
    views: Sequence[View],
    identified: Sequence[Identified],
    source: LogSource,
    *,
    ruleset_version: str,
    index_of: Callable[[Identified], str],
) -> list[Detection]:
    """The detections of matches, as `Engine.match` gives them; other arguments as for `detect`."""
    aliases, found = known_aliases().get(source, {}), []
    for place, rule in matches:
        event, fields = identified[place], Fields(views[place], aliases)
        found.append(
            Detection(
                rule_id=rule.id,
                rule_version=rule.version,
                ruleset_version=ruleset_version,
                namespace=event.document["data_stream"]["namespace"],
                format=event.document["skytrail"]["format"],
                group_key=group_key(fields, rule.suppression.by),
                window_seconds=rule.suppression.window_seconds,
                member=short_member(views[place].member or event.uid),
                event=EventRef(index=index_of(event), id=event.id, hash=event.leaf.hex()),
                at=dt.datetime.fromisoformat(event.document["@timestamp"]),
                principal=principal_of(event.document),
                reason=word_reason(rule.reason or rule.title, fields),
                context=context_of(event.document),
                title=rule.title,
                level=rule.level,
            )
        )
    return found


def short_member(member: str) -> str:
    """A member as it is remembered: hashed when long, because an alert keeps up to 10,000 of them."""
    if len(member) <= MAX_MEMBER:
        return member
    return hashlib.sha256(member.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def group_key(fields: Fields, names: Sequence[str]) -> str:
    """The values of some fields as one text: a JSON array with a sorted list of texts for each field."""
    values = [sorted({text_of(v) for v in fields.values(name) if v is not None}) for name in names]
    key = json.dumps(values, separators=(",", ":"))
    if len(key) <= MAX_GROUP_KEY:
        return key
    return f"{key[: MAX_GROUP_KEY - 65]}#{hashlib.sha256(key.encode()).hexdigest()}"


def context_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of an ECS document that an alert repeats; long texts and lists are cut."""
    found: dict[str, Any] = {}
    for name, keys in _CONTEXT.items():
        part = document.get(name)
        if isinstance(part, Mapping):
            kept = {key: _clipped(value) for key, value in part.items() if not keys or key in keys}
            if kept:
                found[name] = kept
    return found


def title_context(context: Mapping[str, Any]) -> dict[str, Any]:
    """As much of a context as the title line of an alert shows: account and cluster."""
    found: dict[str, Any] = {}
    for outer, inner, leaf in (("cloud", "account", "id"), ("orchestrator", "cluster", "name")):
        value = context.get(outer, {}).get(inner, {}).get(leaf)
        if value:
            found[outer] = {inner: {leaf: value}}
    return found


def _clipped(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else f"{value[: MAX_TEXT - 1]}…"
    if isinstance(value, Mapping):
        return {key: _clipped(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_clipped(part) for part in value[:MAX_LIST]]
    return value


def principal_of(document: Mapping[str, Any]) -> Principal:
    """The actor of a document, cleaned for people."""
    known = document.get("skytrail", {}).get("principal", {})
    return Principal(*(clean(str(known.get(key, ""))) for key in ("key", "type", "display")))
