"""Records what people do with a command: kept on disk before it happens, then sealed and indexed like every event.

A command that reads, changes or deletes what the installation keeps is marked with `recorded`; `tests/test_shape.py`
holds the list of those that need no record, each with its reason.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import os
import pwd
import re
import socket
import uuid
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import msgspec
import typer

from ingest.action_journal import ActionJournal, Begun
from ingest.publisher import KafkaPublisher
from ingest.schema.action import Action, Kind
from ingest.schema.errors import ConfigError, SkytrailError, TransientError
from skytrail.cli.context import Context, context_of
from skytrail.cli.exits import Exit
from skytrail.cli.output import say
from streams.topics import DEAD_LETTERS, raw_topic

SEND_DEADLINE_S = 5.0
"""A command does not wait longer for brokers that are away; the record waits on disk."""
_ADDRESSES = frozenset({"archive", "source", "paths"})
"""Parameters that may be addresses; a search query is recorded as it is."""
_LOGIN = re.compile(r"://[^/?#\s]*@")
_VALUE = re.compile(r"([?&;])([A-Za-z0-9_.-]+)=[^&;\s'\"]*")
_DONE = (Exit.OK, Exit.FINDINGS, Exit.INCOMPLETE)

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")


def recorded(
    name: str, kind: Kind = "access", *, target: str = "", details: Sequence[str] = ()
) -> Callable[[Callable[Parameters, Returned]], Callable[Parameters, Returned]]:
    """Mark a command whose every use is recorded.

    Args:
        name: Of the action, as the command is called: `dead-letters.redrive`.
        kind: Whether it reads, changes or destroys.
        target: Parameter that says what it is done to.
        details: Parameters that say what is asked for. Name no secret.
    """

    def mark(command: Callable[Parameters, Returned]) -> Callable[Parameters, Returned]:
        @functools.wraps(command)
        def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Returned:
            found = context_of(cast("typer.Context", kwargs["context"]))
            if not found.is_installed:
                return command(*args, **kwargs)
            given = {key: kwargs[key] for key in details if kwargs.get(key) not in (None, "", [], False)}
            asked = {
                key: _address(_plain(value)) if key in _ADDRESSES else _plain(value) for key, value in given.items()
            }
            journal = journal_of(found)
            begun = journal.begin(_action(name, kind, _address(_plain(kwargs.get(target))) if target else "", asked))
            ended = msgspec.structs.replace(begun.action, outcome="failure", reason="interrupted")
            try:
                result = command(*args, **kwargs)
                ended = msgspec.structs.replace(ended, outcome="success", reason="")
            except typer.Exit as exc:
                ended = _exited(ended, exc.exit_code)
                raise
            except SkytrailError as exc:
                ended = msgspec.structs.replace(ended, reason=_address(f"{exc.kind}: {exc.what}"))
                raise
            finally:
                _finish(found, journal, begun, msgspec.structs.replace(ended, details={**asked, **found.told}))
            return result

        run.__dict__["recorded"] = name
        return run

    return mark


def journal_of(context: Context) -> ActionJournal:
    """The journal of this installation on this machine."""
    settings = context.settings
    return ActionJournal(settings.state_dir / "actions", settings.audit.namespace)


def account() -> str:
    """The account of the operating system that runs this; its number where it has no name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _action(name: str, kind: Kind, target: Any, details: Mapping[str, Any]) -> Action:
    return Action(
        id=uuid.uuid4().hex,
        at=dt.datetime.now(dt.UTC),
        actor=account(),
        host=socket.gethostname(),
        program="cli",
        name=name,
        kind=kind,
        target=", ".join(map(str, target)) if isinstance(target, list) else str(target or ""),
        details=details,
    )


def _exited(action: Action, code: int) -> Action:
    """A command that ends with findings, or with less than everything checked, did what was asked."""
    if code in _DONE:
        return msgspec.structs.replace(action, outcome="success", reason="")
    return msgspec.structs.replace(action, reason=f"exit code {code}")


def _finish(context: Context, journal: ActionJournal, begun: Begun, action: Action) -> None:
    journal.end(begun, action)
    try:
        asyncio.run(_send(context, journal))
    except (TransientError, ConfigError) as exc:
        say(f"note: the record of this action waits on this machine; the next command sends it ({exc.what})")


async def _send(context: Context, journal: ActionJournal) -> None:
    kafka = context.connected(elasticsearch=False).kafka
    quick = kafka.model_copy(update={"publish_deadline_s": min(SEND_DEADLINE_S, kafka.publish_deadline_s)})
    publisher = KafkaPublisher(quick, raw_topic=raw_topic, dead_letter_topic=DEAD_LETTERS, client_id="skytrail-actions")
    try:
        await journal.send(publisher, dt.datetime.now(dt.UTC))
    finally:
        await publisher.close()


def _address(value: Any) -> Any:
    """Without what an address may carry that is nobody's business: who logs in, and values behind its question mark."""
    if isinstance(value, list):
        return [_address(each) for each in value]
    if not isinstance(value, str) or "://" not in value:
        return value
    return _VALUE.sub(r"\1\2=...", _LOGIN.sub("://", value))


def _plain(value: Any) -> Any:
    """A parameter as JSON has it."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path | dt.date) else value
