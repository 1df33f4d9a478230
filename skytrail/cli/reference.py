"""The page `docs/cli.md`, made from the commands themselves.

Regenerate it after a change of a command:  ``python -m skytrail.cli.reference > docs/cli.md``
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final

import typer.main

from skytrail.cli.exits import Exit
from skytrail.cli.main import build

_EXITS: Final[Mapping[Exit, str]] = {
    Exit.OK: "done",
    Exit.FINDINGS: "findings that were asked to fail, verification failed, or not caught up",
    Exit.BAD_INPUT: "a bad rule or bad input data",
    Exit.CONFIG: "configuration, usage or connection",
    Exit.DENIED: "authentication or authorisation",
    Exit.INCOMPLETE: "nothing wrong was found, but not all could be checked",
    Exit.INTERRUPTED: "interrupted",
}
_ROW: Final = "| {} | {} |"
_WORDS: Final[Mapping[type[Any], str]] = {str: "TEXT", int: "N", float: "NUMBER", Path: "PATH"}
_OWN_EXITS: Final = re.compile(r"\bExit\.([A-Z_]+)")
_EXAMPLES: Final = re.compile(r"^\s*Examples:\s*", re.MULTILINE)

_HEAD: Final = """\
# Commands

This page is made from the commands; do not edit it. Make it again with
`python -m skytrail.cli.reference > docs/cli.md`; a test compares the two.

- Data goes to stdout, everything for people goes to stderr: messages, progress, log lines.
- `-o` chooses the format of the data: `table`, `json`, `jsonl` or `csv`. Without it: a table on a terminal, `jsonl`
  when stdout is piped or written to a file.
- Control characters in log content are shown as `\\x1b` and the like in tables and CSV. A CSV cell that a spreadsheet
  would take for a formula begins with `'`.
- Points in time are ISO 8601 (UTC when they name no zone), `now`, or an age such as `15m`, `24h`, `7d`, `2w`.
- An error says what happened, where, and what to do next; `docs/runbook.md` has an entry for each.
"""


def page() -> str:
    """The whole page, as Markdown."""
    root = typer.main.get_command(build())
    return "\n".join([_HEAD, *_exits(), *_globals(root), *_all_commands(root, "skytrail")]) + "\n"


def _exits() -> Iterator[str]:
    yield "## Exit codes\n"
    yield _ROW.format("code", "meaning")
    yield _ROW.format("---", "---")
    for code in Exit:
        yield _ROW.format(f"`{code.value}`", _EXITS[code])
    yield ""
    yield "Every command can end with 0, 3, 4 and 130, and with 1 or 2 when it stops with an error of that kind."
    yield "What a command adds of its own is named below.\n"


def _globals(root: Any) -> Iterator[str]:
    yield "## skytrail\n"
    yield "```\nskytrail [--config FILE] [--verbose] COMMAND …\n```\n"
    yield from _parameters(root)


def _all_commands(group: Any, path: str) -> Iterator[str]:
    """Every command below a group, in the order of their names."""
    for name, command in sorted(group.commands.items()):
        if getattr(command, "commands", None):
            yield from _all_commands(command, f"{path} {name}")
        elif not command.hidden:
            yield from _command(command, f"{path} {name}")


def _command(command: Any, path: str) -> Iterator[str]:
    parts = _EXAMPLES.split(inspect.cleandoc(command.help or ""), maxsplit=1)
    text, examples = parts[0].strip(), parts[1] if len(parts) > 1 else ""
    yield f"## {path}\n"
    yield f"```\n{path} {_synopsis(command)}".rstrip() + "\n```\n"
    yield f"{text}\n"
    yield from _parameters(command)
    if examples:
        lines = [line.strip() for line in re.split(r"\n|\s{2,}\|(?:\s{2,}|\n|$)", examples) if line.strip()]
        yield "Examples:\n\n```\n" + "\n".join(lines) + "\n```\n"
    own = dict.fromkeys(_OWN_EXITS.findall(inspect.getsource(inspect.unwrap(command.callback))))
    codes = [f"`{Exit[name].value}` {_EXITS[Exit[name]]}" for name in own]
    if codes:
        yield f"Exit codes of its own: {'; '.join(codes)}.\n"


def _synopsis(command: Any) -> str:
    """Arguments and options in one line; optional ones in brackets."""
    words = []
    for parameter in command.params:
        if _is_help(parameter):
            continue
        if parameter.param_type_name == "argument":
            name = _argument(parameter)
            words.append(name if parameter.required or name.startswith("[") else f"[{name}]")
        else:
            word = parameter.opts[0] + ("" if parameter.is_flag else f" {_metavar(parameter)}")
            words.append(word if parameter.required else f"[{word}]")
    return " ".join(words)


def _parameters(command: Any) -> Iterator[str]:
    rows = [parameter for parameter in command.params if not _is_help(parameter)]
    if not rows:
        return
    yield _ROW.format("argument or option", "meaning")
    yield _ROW.format("---", "---")
    for parameter in rows:
        cells = (f"`{_shown(parameter)}`", " ".join([_meaning(parameter), _default(parameter)]).strip())
        yield _ROW.format(*(cell.replace("|", "\\|") for cell in cells))
    yield ""


def _shown(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return _argument(parameter)
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    return names if parameter.is_flag else f"{names} {_metavar(parameter)}"


def _argument(parameter: Any) -> str:
    choices = _choices(parameter)
    return parameter.metavar or ("|".join(choices) if choices else parameter.name.upper())


def _metavar(parameter: Any) -> str:
    word = parameter.metavar or _WORDS.get(_type_of(parameter)) or parameter.name.upper()
    return f"{word} …" if parameter.multiple else word


def _choices(parameter: Any) -> list[str]:
    kind = _type_of(parameter)
    return [str(member.value) for member in kind] if issubclass(kind, Enum) else []


def _type_of(parameter: Any) -> type[Any]:
    kind = parameter.type_descriptor.annotation
    return kind if isinstance(kind, type) else str


def _meaning(parameter: Any) -> str:
    return parameter.help or (f"One of {', '.join(choices)}." if (choices := _choices(parameter)) else "")


def _default(parameter: Any) -> str:
    value = parameter.default
    if value is None or value is False or value == "" or parameter.required or "efault" in (parameter.help or ""):
        return ""
    return f"Default: `{getattr(value, 'value', value)}`."


def _is_help(parameter: Any) -> bool:
    return parameter.name in ("help", "install_completion", "show_completion")


if __name__ == "__main__":
    sys.stdout.write(page())
