"""Records of what a worker does by itself: a changed or refused rule set, what rotation destroyed."""

from __future__ import annotations

import hashlib
import socket
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence

from ingest.action_journal import COLLECTOR
from ingest.schema.action import FORMAT_NAME, Action, Kind, encode
from ingest.schema.envelope import Envelope, Header, Origin
from ingest.schema.envelope import encode as encode_envelope
from streams.runtime import Runtime
from streams.topics import AUDIT

Tell = Callable[[Sequence[str], Mapping[str, str]], Awaitable[None]]
"""Given why it was refused (nothing: it was done) and what is to be known of it."""


def teller(runtime: Runtime, role: str, name: str, namespace: str, kind: Kind = "change") -> Tell:
    """Records one kind of thing that a role does.

    Args:
        runtime: Of the role: its clock and its way to the brokers.
        role: Name of the role.
        name: Of the action: `rules.reload`.
        namespace: Under which it is indexed and sealed.
        kind: Whether it changes or destroys.
    """

    async def tell(reasons: Sequence[str], details: Mapping[str, str]) -> None:
        now = runtime.now()
        action = Action(
            id=uuid.uuid4().hex,
            at=now,
            actor=f"role:{role}",
            host=socket.gethostname(),
            program=role,
            name=name,
            kind=kind,
            outcome="failure" if reasons else "success",
            reason="; ".join(reasons),
            target=details.get("version", ""),
            details=details,
        )
        record = encode(action)
        origin = Origin(transport="actions", locator=role, sha256=hashlib.sha256(record).hexdigest())
        header = Header(format=FORMAT_NAME, namespace=namespace, collector=COLLECTOR, received_at=now, origin=origin)
        envelope = Envelope(header=header, records=(record,))
        await runtime.producer.send(AUDIT, [(None, encode_envelope(envelope), None)])

    return tell
