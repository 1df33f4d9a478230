"""A detection: one rule matched one event. What travels on the signals topic, in batches, to the alert agent.

Wire form of a batch: one version byte, then a msgpack array of detections.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
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
MAX_RELATED = 100  # values of each `related.*` list that an alert repeats

_CONTEXT: Mapping[str, tuple[str, ...]] = {
    "event": ("action", "outcome", "provider"),
    "user_agent": ("original",),
    "user": (),
    "source": (),
    "cloud": (),
    "orchestrator": (),
    "related": (),
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


class Detection(msgspec.Struct, frozen=True, kw_only=True):
    """One match.

    Attributes:
        ruleset_version: Version of the whole rule set that matched.
        group_key: Values of the rule's suppression fields, joined so that different values never give one key.
        window_seconds: Detections with one group key within this time of the event clock are one alert.
        member: What an alert counts once (stages and replays of one action have one member).
        at: Event time, UTC.
        context: Parts of the ECS document that the alert repeats.
        alert: Id of the alert it belongs to, where the detection knows it (correlations); "": the suppression decides.
        events: Every event that a correlation matched when it opened the alert.
        since: Time of the first of them.
        threshold: How many matches it took.
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
    events: tuple[EventRef, ...] = ()
    since: dt.datetime | None = None
    threshold: int = 1


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[Detection, ...])


def encode(batch: Sequence[Detection]) -> bytes:
    """Serialise a batch; `decode` gives back an equal one."""
    return bytes((VERSION,)) + _encoder.encode(tuple(batch))


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
    """The parts of an ECS document that an alert repeats."""
    found: dict[str, Any] = {}
    for name, keys in _CONTEXT.items():
        part = document.get(name)
        if isinstance(part, Mapping):
            kept = {key: value for key, value in part.items() if not keys or key in keys}
            if name == "related":
                kept = {key: value[:MAX_RELATED] if isinstance(value, list) else value for key, value in kept.items()}
            if kept:
                found[name] = kept
    return found


def principal_of(document: Mapping[str, Any]) -> Principal:
    """The actor of a document, cleaned for people."""
    known = document.get("skytrail", {}).get("principal", {})
    return Principal(*(clean(str(known.get(key, ""))) for key in ("key", "type", "display")))
