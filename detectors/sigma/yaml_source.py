"""Reads YAML that strangers wrote: bounded, without surprises of YAML 1.1.

* Bounds: size, depth, and the number of nodes that anchors and aliases would expand to ("billion laughs"). They are
  checked on libyaml's events and on the unexpanded node graph, before anything is built.
* A key that stands twice is refused: one of the two would be lost silently. So is one that is no text: in JSON, which
  events are, there is none.
* Scalars follow the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema): `No`, `on` and `12:30` stay
  texts, times stay texts, and so do digits with a leading zero (account ids).
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from ingest.schema.errors import ConfigError

MAX_BYTES = 1024 * 1024  # of one rule file
MAX_DEPTH = 64
MAX_NODES = 50_000  # of one file, aliases expanded

_KEY_TAGS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")
_MEND = "correct the YAML; `skytrail rules lint` names the line"


class _Loader(yaml.CSafeLoader):
    """CSafeLoader with the scalars of YAML 1.2; `<<` still merges."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own shape


for _tag, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?(?:0|[1-9][0-9]{0,99})$", list("-+0123456789")),
    ("float", r"^[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)\.[0-9]*)(?:[eE][-+]?[0-9]{1,3})?$", list("-+.0123456789")),
    ("merge", r"^(?:<<)$", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def read_documents(text: str, *, where: str) -> list[Any]:
    """The YAML documents of a text, empty ones left out.

    Args:
        text: The content of the file.
        where: Name of the file, for errors.

    Raises:
        ConfigError: Not YAML, a key twice, or beyond the bounds.
    """
    size = len(text.encode("utf-8", "replace"))
    if size > MAX_BYTES:
        raise too_large(size, where=where)
    try:
        _check_depth(text)
        loader = _Loader(text)
        try:
            found = []
            while loader.check_node():
                node = loader.get_node()
                if node is not None:
                    _check_graph(node)
                    found.append(loader.construct_document(node))
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as exc:
        raise ConfigError(f"reading YAML: {' '.join(str(exc).split())}", where=where, mend=_MEND) from exc
    return [document for document in found if document is not None]


def too_large(size: int, *, where: str) -> ConfigError:
    """The refusal of a file of so many bytes."""
    return ConfigError(f"reading YAML: {size} bytes, at most {MAX_BYTES} are read", where=where, mend=_MEND)


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise yaml.YAMLError(f"nested deeper than {MAX_DEPTH} levels, {event.start_mark}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _check_graph(root: yaml.Node) -> None:
    """Refuse a double key, one that is no text, a cycle, and more than `MAX_NODES` nodes with aliases written out."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> int:
        known = sizes.get(id(node))
        if known is not None:
            return known
        if id(node) in open_nodes:
            raise yaml.YAMLError(f"an alias stands inside its own anchor, {node.start_mark}")
        open_nodes.add(id(node))
        total = 1 + sum(map(size, _children(node)))
        if total > MAX_NODES:
            raise yaml.YAMLError(f"more than {MAX_NODES} nodes when its aliases are written out")
        sizes[id(node)] = total
        open_nodes.discard(id(node))
        return total

    size(root)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if not isinstance(node, yaml.MappingNode):
        return []
    seen = set()
    for key, _ in node.value:
        if key.tag not in _KEY_TAGS:
            said = f"the key {key.value}" if isinstance(key, yaml.ScalarNode) else "a list or map as key"
            raise yaml.YAMLError(f"{said} is no text, write it in quotes, {key.start_mark}")
        if key.value in seen:
            raise yaml.YAMLError(f"the key {key.value!r} stands twice, {key.start_mark}")
        seen.add(key.value)
    return [part for pair in node.value for part in pair]
