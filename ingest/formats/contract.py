"""What a format promises. A format is pure: no network, clock, randomness or settings.

A format is a folder `ingest/formats/<name with _>/` whose `format.py` has a module-level `FORMAT` that satisfies this
protocol; its vendor fields stand in `fields.py`, its mapping in `mapping.py`. The registry walks the folders: adding a
format edits no existing file. Golden pairs lie in `tests/ingest/formats/<name with _>/golden/`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ingest.schema.envelope import Context
from ingest.schema.errors import MalformedBody, RejectedRecord
from ingest.schema.fields import Field

SAMPLED = 64 * 1024
"""As much of a beginning as is looked at for `telltale`, bytes."""

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LogSource:
    """The Sigma log source of a format; a rule that leaves a part out applies to all of it.

    Attributes:
        also: Further services whose rules are about events of this format, where the public rules split finer.
    """

    product: str
    service: str | None = None
    category: str | None = None
    also: tuple[str, ...] = ()


@dataclass(slots=True)
class View:
    """What a rule sees of one record.

    Attributes:
        vendor: The record as the vendor names it (parsed JSON object).
        ecs: The normalised document; empty when normalising refused the record.
        final: False for a record that a later one of the same action repeats in full (Kubernetes `RequestReceived`):
            rules are not evaluated on it, so that one action alerts once.
        member: What counts as one action in an alert's exact count (uid, or auditID-based without the stage).
    """

    vendor: Mapping[str, Any]
    ecs: Mapping[str, Any] = field(default_factory=dict)
    final: bool = True
    member: str = ""


class Reading(Protocol):
    """One record, parsed once; a role that needs several answers about a record asks them of one reading.

    Attributes:
        record: The exact bytes.
        shown: The same without secrets: what may stand in a document, an alert or a log. The object itself when it
            holds none.
    """

    record: bytes
    shown: bytes

    def identify(self) -> str | None:
        """See `Format.identify`."""
        ...

    def view(self) -> View:
        """See `Format.view`; what could be parsed can be viewed."""
        ...

    def normalise(self) -> Document:
        """See `Format.normalise`; the document shares nothing with the view, so either may be changed.

        Raises:
            RejectedRecord: Of some kind; nothing else.
        """
        ...


class Format(Protocol):
    """The shape of one kind of log.

    A format names this protocol as its base: `identify`, `view` and `normalise` of bytes follow from `read`.
    """

    name: str
    """As in topics and settings: `aws.cloudtrail`."""
    dataset: str
    """Elastic's data set: part of index names and `data_stream.dataset`."""
    version: str
    """Version of the mapping; cited by dead letters, so that a redrive can be judged."""
    log_source: LogSource
    fields: Sequence[Field]
    """Vendor fields this format writes besides the common ones."""
    own: bool = False
    """Records of the product about itself: no source may bring them, or anybody could write into its own audit."""
    clock_name: str = ""
    """Top-level member that holds the event's time, for reading an event that lost it; "" if there is none."""
    aliases: Mapping[str, str]
    """Field names that public Sigma rules use for this source → path in the vendor view or the ECS document."""
    list_keys: Sequence[str] = ()
    """Keys whose array in a JSON body holds the records, as `split` knows them."""
    marks: Sequence[bytes] = ()
    """Every JSON record that `claims` takes holds one of these, in lower case and without `_` and `-`.

    They spare a look by each format at each record of a mixed body; empty: any record may be of this format.
    """
    telltale: re.Pattern[bytes] | None = None
    """What tells this format within a record that is not whole; None: nothing short of a whole one does."""

    def split(self, body: bytes) -> Iterator[bytes]:
        """Yield the records of an inflated body as exact slices, in order.

        A blank body gives none. Records before a fault are still delivered.

        Raises:
            MalformedBody: At the first byte that can't be split, naming it; or behind the last record, if something
                stood beside the records that is in none of them.
        """
        ...

    def context(self, body: bytes) -> Context:
        """What an inflated body says of all its records beside them, in few short words; nothing for most formats.

        It travels in the envelope's header, is sealed with it, and comes back through `within`. Never raises.
        """
        del body
        return ()

    def within(self, context: Context) -> Format:
        """This format for the records of a body that said `context`; itself where that tells it nothing."""
        del context
        return self

    def read(self, record: bytes) -> Reading:
        """Parse a record, for one or more of the answers below.

        Raises:
            MalformedRecord: The bytes are not a record of this format.
        """
        ...

    def identify(self, record: bytes) -> str | None:
        """The record's own id, or None when it has none (its leaf is its id then). Same bytes, same answer.

        Raises:
            MalformedRecord: The bytes are not a record of this format.
        """
        return self.read(record).identify()

    def view(self, record: bytes) -> View:
        """Decode for detection (`View.vendor`, `final`, `member`); tolerates missing and mistyped optional fields.

        Raises:
            MalformedRecord: The bytes are not a JSON object of this format.
        """
        return self.read(record).view()

    def normalise(self, record: bytes) -> Document:
        """The ECS document of a record, without what only the pipeline knows (see `ingest/document.py`).

        Only registered fields, no nulls, no empties; `@timestamp` is ISO 8601 UTC with milliseconds and `Z`.

        Raises:
            RejectedRecord: Of some kind; nothing else, whatever the bytes.
        """
        return self.read(record).normalise()

    def claims(self, record: bytes) -> bool:
        """Whether one whole record is of this format; never true for two formats on the golden cases. Never raises."""
        try:
            return bool(self.read(record))
        except RejectedRecord:
            return False

    def recognise(self, sample: bytes) -> bool:
        """Whether the beginning of an inflated body looks like this format: its first record, or what is there of it.

        Never true for two formats on the golden cases.
        """
        try:
            record = next(self.split(sample), None)
        except MalformedBody:
            return self.reads_like(sample[:SAMPLED])
        return record is not None and self.claims(record)

    def reads_like(self, head: bytes) -> bool:
        """Whether a beginning that is cut inside its first record, or is no JSON, still tells this format."""
        return self.telltale is not None and self.telltale.search(head) is not None
