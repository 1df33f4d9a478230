"""The command line: composes the command groups and turns errors into messages and exit codes.

Every file in `skytrail/cli/commands` has a `register(app)`; adding a command edits no existing file.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import structlog
import typer
from typer._click.exceptions import ClickException  # Typer carries its own Click

from ingest.schema.errors import SkytrailError
from skytrail.cli import commands
from skytrail.cli.context import Context
from skytrail.cli.exits import Exit, exit_of
from skytrail.cli.output import quiet_stdout, say, show_every_name

EPILOG = (
    "Examples:  skytrail demo  |  skytrail up  |  skytrail ingest files ./logs --format aws.cloudtrail   "
    "Exit codes: 0 ok, 1 findings or not caught up, 2 bad input, 3 configuration or connection, 4 denied, "
    "5 incomplete, 130 interrupted."
)


def build(word: str = "") -> typer.Typer:
    """The command line.

    Args:
        word: The name of a command or a group, as `first_word` finds it. Where files of commands have this name, only
            those are imported: a command does not wait for the clients of all the others. Otherwise every command is
            there.
    """
    app = typer.Typer(
        name="skytrail",
        help="Streaming analytics for cloud audit logs: nothing is lost silently, and everything can be proven.",
        epilog=EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    @app.callback()
    def root(
        context: typer.Context,
        config: Annotated[Path | None, typer.Option(help="Settings file instead of the searched ones.")] = None,
        verbose: Annotated[bool, typer.Option("--verbose", "-v", help="More on stderr.")] = False,
    ) -> None:
        _log_to_stderr(verbose=verbose)
        context.obj = Context(config)

    names = sorted(entry.name for entry in pkgutil.iter_modules(commands.__path__))
    word = word.replace("-", "_")
    wanted = [name for name in names if word and f"{name}_".startswith(f"{word}_")]
    for name in wanted or names:
        importlib.import_module(f"{commands.__name__}.{name}").register(app)
    return app


def first_word(arguments: Sequence[str]) -> str:
    """The first argument that is neither an option of the root nor the value of one; empty where there is none."""
    given = iter(arguments)
    for argument in given:
        if argument == "--config":
            next(given, None)
        elif not argument.startswith("-"):
            return argument
    return ""


def main() -> None:
    """Run the command line; every error ends with what to do next."""
    show_every_name()
    try:
        code = build(first_word(sys.argv[1:]))(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else Exit.OK)
    except (typer.Abort, KeyboardInterrupt):
        say("interrupted")
        sys.exit(Exit.INTERRUPTED)
    except ClickException as exc:
        say(f"error: {exc.format_message()}\nnext: `skytrail --help`, or --help behind the command")
        sys.exit(Exit.CONFIG)
    except SkytrailError as exc:
        place = f"\nwhere: {exc.where}" if exc.where else ""
        say(f"error: {exc.kind}: {exc.what}{place}\nnext: {exc.mend}")
        sys.exit(exit_of(exc))
    except BrokenPipeError:
        quiet_stdout()
        sys.exit(Exit.OK)


def _log_to_stderr(*, verbose: bool) -> None:
    """Structured log lines on stderr, ECS names, never event content."""
    level = logging.DEBUG if verbose else logging.INFO
    # These clients repeat every failed attempt of theirs; what matters of it is told by our own errors.
    for noisy in ("aiokafka", "kafka", "elastic_transport"):
        logging.getLogger(noisy).setLevel(logging.INFO if verbose else logging.CRITICAL)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="@timestamp"),
            structlog.processors.EventRenamer("message"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
