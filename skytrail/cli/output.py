"""How commands speak: data on stdout in the asked format, everything else on stderr."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

stderr = Console(stderr=True, highlight=False, soft_wrap=True)
SEVERITY_STYLE = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "info": "dim"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_FORMULA = ("=", "+", "-", "@")


class Output(StrEnum):
    """Formats of data on stdout."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


OutputOption = Annotated[
    Output | None,
    typer.Option("--output", "-o", help="table, json, jsonl or csv. Default: table on a terminal, jsonl when piped."),
]


def chosen(output: Output | None) -> Output:
    """The asked format, or the default for where stdout goes."""
    return output or (Output.TABLE if sys.stdout.isatty() else Output.JSONL)


def say(message: str) -> None:
    """One line for the person, on stderr; control characters, which may come from what is told of, are shown."""
    stderr.print(shown(message), markup=False)


def shown(value: object) -> str:
    """A cell as text: control characters of log content must not reach the terminal."""
    if value is None:
        return ""
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping | list | tuple) else str(value)
    return _CONTROL.sub(lambda m: f"\\x{ord(m.group()):02x}", text)


def emit_object(value: Any, output: Output | None) -> None:
    """One JSON document on stdout (`-o table` and `csv` show the pairs)."""
    match chosen(output):
        case Output.JSON:
            sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
        case Output.JSONL:
            sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
        case kind:
            emit_rows([{"name": k, "value": v} for k, v in value.items()], kind, columns=("name", "value"))


def emit_rows(
    rows: Iterable[Mapping[str, Any]], output: Output | None, *, columns: Sequence[str], title: str = ""
) -> int:
    """Rows on stdout; returns how many. Tables never truncate a value, they wrap it."""
    match chosen(output):
        case Output.JSON:
            listed = list(rows)
            sys.stdout.write(json.dumps(listed, indent=2, ensure_ascii=False, default=str) + "\n")
            return len(listed)
        case Output.JSONL:
            count = 0
            for row in rows:
                sys.stdout.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
                count += 1
            sys.stdout.flush()
            return count
        case Output.CSV:
            return _csv(rows, columns)
        case Output.TABLE:
            return _table(rows, columns, title)


def _csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> int:
    writer = csv.writer(sys.stdout, lineterminator="\r\n")
    writer.writerow(columns)
    count = 0
    for row in rows:
        cells = [shown(row.get(name)) for name in columns]
        writer.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
        count += 1
    return count


def _table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], title: str) -> int:
    table = Table(title=title or None, title_justify="left", show_edge=False, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name.replace("_", " "), overflow="fold")
    count = 0
    for row in rows:
        style = SEVERITY_STYLE.get(str(row.get("severity", "")).lower())
        table.add_row(*(_escape(shown(row.get(name))) for name in columns), style=style)
        count += 1
    width = None if sys.stdout.isatty() else 160
    Console(file=sys.stdout, highlight=False, width=width).print(table)
    return count


def _escape(text: str) -> str:
    return text.replace("[", "\\[")


@contextmanager
def progress() -> Iterator[Progress]:
    """A progress display on stderr; silent where stderr is no terminal."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=stderr, transient=False, disable=not stderr.is_terminal) as display:
        yield display


def show_every_name() -> None:
    """Names of files and texts of JSON can have what UTF-8 has no form for: it is shown as JSON escapes it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def quiet_stdout() -> None:
    """After a broken pipe: keep the interpreter from complaining at exit."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
