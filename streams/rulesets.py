"""Rule sets as they were evaluated: what a version of a rule set stands for, kept in a compacted topic. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import msgspec
import zstandard

from detectors.rule import Rule
from detectors.rulebook import Rulebook
from ingest.formats.contract import LogSource
from ingest.schema.errors import UnsupportedEnvelope

_Source = tuple[str, str | None, str | None]
CHUNK_BYTES = 900_000  # brokers take messages of 1 MB unless told otherwise
_MOST_BYTES = 256 * 1024 * 1024


class RuleEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of a set.

    Attributes:
        kind: `rule`, `base` (it only serves correlations), `correlation` or `exception`.
        digest: Hex SHA-256 of its content, with the filters that cover it.
        sources: Log sources (product, service, category) that it is about; of a correlation those of its rules.
        file: Where it was read from: the key of its text in `RuleSet.files`.
    """

    id: str
    uuid: str
    kind: str
    digest: str
    title: str
    level: str
    sources: tuple[_Source, ...]
    file: str

    def log_sources(self) -> list[LogSource]:
        """The log sources."""
        return [LogSource(product, service, category) for product, service, category in self.sources]


class RuleSet(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was evaluated together.

    Attributes:
        files: Path → text of every rule file, exceptions and filters among them.
    """

    version: str
    rules: tuple[RuleEntry, ...]
    files: dict[str, str]

    def find(self, rule: str) -> RuleEntry | None:
        """The rule of an id or UUID, if this set evaluates it."""
        return next((each for each in self.rules if rule in (each.id, each.uuid) and each.kind != "exception"), None)


def of_book(book: Rulebook) -> RuleSet:
    """The set that a rulebook stands for."""
    about: dict[str, tuple[_Source, ...]] = {rule.id: (_source(rule),) for rule in (*book.rules, *book.bases)}
    entries = [_entry("rule", rule, about[rule.id]) for rule in book.rules]
    entries += [_entry("base", rule, about[rule.id]) for rule in book.bases]
    for one in book.correlations:  # each behind those it builds upon
        sources = dict.fromkeys(source for name in one.rules for source in about.get(name, ()))
        about[one.rule.id] = tuple(sources)
        entries.append(_entry("correlation", one.rule, tuple(sources)))
    for each in book.exceptions:
        entries.append(
            RuleEntry(
                id=each.id,
                uuid="",
                kind="exception",
                digest=each.digest,
                title="",
                level="",
                sources=(),
                file=each.source,
            )
        )
    return RuleSet(version=book.version, rules=tuple(entries), files=dict(book.files))


def pack(ruleset: RuleSet) -> list[tuple[bytes, bytes]]:
    """Keys and values for the topic; the same set always gives the same keys."""
    body = zstandard.ZstdCompressor(level=9).compress(msgspec.msgpack.encode(ruleset))
    chunks = [body[at : at + CHUNK_BYTES] for at in range(0, len(body), CHUNK_BYTES)]
    return [(f"{ruleset.version}|{number}|{len(chunks)}".encode(), chunk) for number, chunk in enumerate(chunks)]


def unpack(messages: Iterable[tuple[bytes, bytes]]) -> dict[str, RuleSet]:
    """The rule sets of the topic by version, oldest message first; one of which a part is not there yet is left out.

    Raises:
        UnsupportedEnvelope: The bytes are no rule set.
    """
    parts: defaultdict[tuple[str, int], dict[int, bytes]] = defaultdict(dict)
    try:
        for key, value in messages:
            version, number, count = key.decode().split("|")
            parts[version, int(count)][int(number)] = value
        return {ruleset.version: ruleset for ruleset in _whole(parts)}
    except (msgspec.MsgspecError, ValueError, zstandard.ZstdError) as exc:
        raise UnsupportedEnvelope(f"decoding rule set: {exc}") from exc


def _whole(parts: dict[tuple[str, int], dict[int, bytes]]) -> Iterator[RuleSet]:
    for (_, count), chunks in parts.items():
        if len(chunks) == count:
            body = b"".join(chunks[number] for number in range(count))
            yield msgspec.msgpack.decode(
                zstandard.ZstdDecompressor().decompress(body, max_output_size=_MOST_BYTES), type=RuleSet
            )


def _source(rule: Rule) -> _Source:
    return rule.log_source.product, rule.log_source.service, rule.log_source.category


def _entry(kind: str, rule: Rule, sources: tuple[_Source, ...]) -> RuleEntry:
    return RuleEntry(
        id=rule.id,
        uuid=rule.uuid,
        kind=kind,
        digest=rule.digest,
        title=rule.title,
        level=rule.level,
        sources=sources,
        file=rule.source,
    )
