"""The witnesses and authorities that the settings name."""

from __future__ import annotations

import datetime as dt

from ingest.schema.errors import ConfigError
from storage.archive.store import is_key_part
from storage.ledger.anchoring import Anchors
from storage.ledger.cosigning import WitnessClient, witness_key
from storage.ledger.posting import Post
from storage.ledger.stamping import AuthorityClient, read_certificates
from storage.settings import LedgerSettings


def open_anchors(ledger: LedgerSettings, post: Post) -> Anchors:
    """The witnesses and authorities of the settings.

    Raises:
        ConfigError: A key, a certificate file or a name is wrong, or the quorum can't be reached.
    """
    if ledger.quorum > len(ledger.witnesses):
        raise ConfigError(
            f"opening the ledger: a quorum of {ledger.quorum} of {len(ledger.witnesses)} witnesses can't be reached",
            where="ledger.quorum",
            mend="name more witnesses in ledger.witnesses, or lower it",
        )
    by_key: dict[bytes, str] = {}
    for name, each in sorted(ledger.witnesses.items()):
        other = by_key.setdefault(witness_key(name, each.vkey).public, name)
        if other != name:
            raise ConfigError(
                f"opening the ledger: the witnesses {other} and {name} have the same key, so a quorum counts it twice",
                where=f"ledger.witnesses.{name}.vkey",
                mend="name each witness once; `skytrail witness init` prints its key",
            )
    for name in ledger.authorities:
        if not is_key_part(name):
            raise ConfigError(
                f"opening the ledger: {name!r} can't be the name of an authority: a file is named by it",
                where="ledger.authorities",
                mend="use letters, digits, . _ -",
            )
    return Anchors(
        witnesses=[
            WitnessClient(name, each.url, witness_key(name, each.vkey), post)
            for name, each in sorted(ledger.witnesses.items())
        ],
        quorum=ledger.quorum,
        authorities=[
            AuthorityClient(name, each.url, read_certificates(each.ca_file, name), post)
            for name, each in sorted(ledger.authorities.items())
        ],
        stamp_every=dt.timedelta(seconds=ledger.stamp_interval_s),
    )
