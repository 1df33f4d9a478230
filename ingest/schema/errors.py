"""Every error this product raises on purpose; the branch is the reaction.

* SkytrailError
  x TransientError   retry with backoff; nothing is acknowledged or committed
      - SourceUnavailable  - BrokerUnavailable  - IndexUnavailable  - StoreUnavailable
  x RejectedRecord   never retry; the bytes go to the dead letters, the neighbours go on
      - MalformedBody  - MalformedRecord  - UnrecognisedRecord  - UnsupportedEnvelope  - OversizedRecord
      - RefusedDocument
  x IntegrityError   stop this role and page someone
      - AlreadyExists
  x ConfigError      refuse to start
      - SourceRefused  - EngineError
  x Refused          the caller may not do this

Every error says what happened, where, and what the operator should do (`mend`). docs/runbook.md has an entry for each.
"""

from __future__ import annotations


class SkytrailError(Exception):
    """Base of the tree.

    Args:
        what: What happened, as a gerund phrase ("opening segment: no space left").
        where: The place: file, topic/partition/offset/record, URL, setting.
        mend: What the operator should do next.
    """

    default_mend = "see docs/runbook.md"

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        self.what = what
        self.where = where
        self.mend = mend or self.default_mend
        super().__init__(what)

    def __str__(self) -> str:
        place = f" at {self.where}" if self.where else ""
        return f"{self.what}{place}; {self.mend}"

    @property
    def kind(self) -> str:
        """The name under which this error appears in dead letters, metrics and the runbook."""
        return type(self).__name__


class TransientError(SkytrailError):
    """The other side is away or busy: the same call may succeed later."""


class SourceUnavailable(TransientError):
    """A source does not answer now."""

    default_mend = "it is retried; check the network path and the health of the source"


class BrokerUnavailable(TransientError):
    """Kafka did not acknowledge in time; nothing may be assumed written."""

    default_mend = "check that the brokers of kafka.bootstrap_servers answer: `skytrail doctor`"


class IndexUnavailable(TransientError):
    """Elasticsearch does not answer, is full, read-only, or refuses our credentials."""

    default_mend = "check Elasticsearch: `skytrail doctor`"


class StoreUnavailable(TransientError):
    """The archive store does not answer or is full."""

    default_mend = "check free space and permissions of archive.directory: `skytrail doctor`"


class RejectedRecord(SkytrailError):
    """These bytes can't become an event; retrying can't help."""

    default_mend = "look at it with `skytrail dead-letters show`, mend the cause, then `skytrail dead-letters redrive`"


class MalformedBody(RejectedRecord):
    """A collected body can't be inflated or split beyond some byte."""


class MalformedRecord(RejectedRecord):
    """A record is not of its format: no JSON, no time, a mandatory part missing or of a wrong type."""


class UnrecognisedRecord(RejectedRecord):
    """A source of the format `auto` brought a record of which nobody can tell the format."""

    default_mend = "name the format of this source, or redrive it when a format for it exists"


class UnsupportedEnvelope(RejectedRecord):
    """A Kafka message is not an envelope of a version that this build reads."""


class OversizedRecord(RejectedRecord):
    """A record is larger than the limit; its bytes lie in the archive as an object."""


class RefusedDocument(RejectedRecord):
    """Elasticsearch refused the document for good (mapping, size)."""


class IntegrityError(SkytrailError):
    """What is stored contradicts itself or us; going on could destroy evidence."""

    default_mend = "do not delete anything; read docs/runbook.md#integrityerror"


class AlreadyExists(IntegrityError):
    """The archive holds other bytes under this key; what is sealed is never overwritten."""


class ConfigError(SkytrailError):
    """A setting is wrong, unknown, or describes an unsafe state."""

    default_mend = "correct the setting; `skytrail doctor` checks all of them"


class SourceRefused(ConfigError):
    """A source says no: credentials, permission, missing object."""

    default_mend = "check the credentials and permissions of this source"


class EngineError(ConfigError):
    """A local engine can't be resolved, started or found."""

    default_mend = "run `skytrail up`, then `skytrail doctor`"


class Refused(SkytrailError):
    """The caller may not do this."""

    default_mend = "use an identity that holds this right"
