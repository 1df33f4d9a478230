"""The HTTP side of a witness: `POST /add-checkpoint`, and nothing else."""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import web

from ingest.schema.errors import IntegrityError, StoreUnavailable
from storage.ledger.witness import Answer, Witness

MAX_BODY_BYTES = 64 * 1024
"""A checkpoint with a few ML-DSA signatures and a proof has less than 16 KiB."""
BODY_TIMEOUT_S = 30.0
"""For a body to arrive: who sends none holds no connection for ever."""
log = structlog.get_logger("skytrail.witness")


class WitnessServer:
    """Serves one witness."""

    def __init__(self, witness: Witness, body_timeout_s: float = BODY_TIMEOUT_S) -> None:
        """Build; `start` listens."""
        self._witness = witness
        self._body_timeout_s = body_timeout_s
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port.

        Raises:
            OSError: The port is taken.
        """
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.add_routes([web.post("/add-checkpoint", self._add_checkpoint)])
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Finish what is being answered and stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _add_checkpoint(self, request: web.Request) -> web.Response:
        try:
            body = await asyncio.wait_for(request.read(), self._body_timeout_s)
        except web.HTTPRequestEntityTooLarge:
            return web.Response(status=413)
        except TimeoutError:
            return web.Response(status=408, headers={"Connection": "close"})
        try:
            answer = await asyncio.to_thread(self._witness.add_checkpoint, body)
        except (StoreUnavailable, IntegrityError):
            log.exception("nothing can be cosigned")
            return web.Response(status=500)
        _tell(answer, request.remote)
        return web.Response(
            status=answer.status, body=answer.body.encode(), headers={"Content-Type": answer.content_type}
        )


def _tell(answer: Answer, remote: str | None) -> None:
    """A log that shows two histories is why a witness exists: that must not drown among the rest."""
    if answer.outcome == "ANOTHER HISTORY":
        log.critical(answer.outcome, remote=remote, mend="keep the directory of this witness: it has the other one")
    elif answer.status in {403, 422}:
        log.warning("refused", status=answer.status, reason=answer.outcome, remote=remote)
    else:
        log.info("answered", status=answer.status, outcome=answer.outcome)
