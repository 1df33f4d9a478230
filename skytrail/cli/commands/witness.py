"""`skytrail witness`: a witness for the ledgers of others, or of one's own on another machine."""

from __future__ import annotations

import asyncio
import datetime as dt
import signal
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ingest.schema.errors import ConfigError
from skytrail.cli.context import context_of
from skytrail.cli.output import OutputOption, emit_object, say
from skytrail.settings import Settings
from skytrail.witnessing import WitnessServer
from storage.archive.stores.filesystem import FilesystemStore
from storage.ledger.keyring import read_private, write_private
from storage.ledger.note import is_key_name
from storage.ledger.signing import ED25519, NoteSigner, VerifierKey, parse_vkey
from storage.ledger.witness import Witness


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="A witness: cosigns ledgers that only grow.", no_args_is_help=True)
    group.command("init")(witness_init)
    group.command("serve")(witness_serve)
    app.add_typer(group, name="witness")


def witness_init(context: typer.Context, output: OutputOption = None) -> None:
    """Make the key of a witness, a file of mode 0600, and print its verifier key; a key that is there is kept.

    Whoever keeps the ledger puts the verifier key into ledger.witnesses.NAME.vkey, and you its verifier keys
    (`skytrail keys list`, those of ed25519) into witness.logs.

    Examples:  SKYTRAIL_WITNESS__NAME=witness.example.org/w1 skytrail witness init   |   skytrail witness init -o json
    """
    settings = context_of(context).settings
    name, file = _name(settings), settings.witness_key_file
    if not file.exists():
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(file, Ed25519PrivateKey.generate())
        except OSError as exc:
            raise ConfigError(
                f"writing the key of the witness: {exc.strerror}",
                where=str(file),
                mend="set witness.key_file to a place that this user can write",
            ) from exc
    emit_object({"name": name, "vkey": str(_signer(settings).key), "key_file": str(file)}, output)


def witness_serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Instead of witness.host.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Instead of witness.port; 0: any.")] = None,
) -> None:
    """Serve the witness protocol of C2SP (`POST /add-checkpoint`) until SIGTERM; needs nothing but its own directory.

    Cosigns a checkpoint of a log in witness.logs only if it goes on from the one it cosigned before. Keep its
    directory: without it the next checkpoint is taken on trust. It speaks HTTP: put a TLS proxy before it.

    Examples:  skytrail witness serve   |   skytrail witness serve --host 0.0.0.0 --port 9471
    """
    settings = context_of(context).settings
    signer = _signer(settings)
    store = FilesystemStore(settings.witness_dir)
    store.probe()
    witness = Witness(signer, _logs(settings), store, lambda: dt.datetime.now(dt.UTC))
    own = settings.witness
    asyncio.run(_serve(witness, own.host if host is None else host, own.port if port is None else port))


async def _serve(witness: Witness, host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = WitnessServer(witness)
    try:
        bound = await server.start(host, port)
    except OSError as exc:
        raise ConfigError(
            f"opening the witness: {exc.strerror}", where=f"{host}:{port}", mend="set witness.port to a free one, or 0"
        ) from exc
    say(f"witness {witness.key} on http://{host}:{bound}/add-checkpoint")
    await stop.wait()
    await server.close()


def _name(settings: Settings) -> str:
    name = settings.witness.name
    if not is_key_name(name):
        raise ConfigError(
            f"naming the witness: {name!r} is no name of a key",
            where="witness.name",
            mend="set it to something like witness.example.org/w1: no white space and no plus sign",
        )
    return name


def _signer(settings: Settings) -> NoteSigner:
    file: Path = settings.witness_key_file
    if not file.exists():
        raise ConfigError("opening the witness: it has no key", where=str(file), mend="skytrail witness init")
    private = read_private(file)
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigError("opening the witness: its key is not an Ed25519 one", where=str(file))
    return NoteSigner(_name(settings), private, witness=True)


def _logs(settings: Settings) -> list[VerifierKey]:
    found: list[VerifierKey] = []
    for text in settings.witness.logs:
        try:
            key = parse_vkey(text)
        except ValueError as exc:
            raise ConfigError(f"reading witness.logs: {exc}", where=text[:200]) from exc
        if key.algorithm == ED25519:
            found.append(key)
    if not found:
        raise ConfigError(
            "opening the witness: it knows no log",
            where="witness.logs",
            mend="put the ed25519 verifier keys of the logs there: `skytrail keys list` on the side of the ledger",
        )
    return found
