"""What an organisation keeps, for how long and why: a TOML file, read and judged here (docs/retention.md).

A policy that is in force carries the rows of the regimes it names, so what it means never depends on the build that
reads it. Of its classes the first one that matches a namespace and a data set decides.
"""

from __future__ import annotations

import datetime as dt
import fnmatch
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ingest.schema.errors import ConfigError
from storage.ledger.signing import ED25519, parse_vkey
from storage.retention.periods import Period, as_period
from storage.retention.regimes import Regime, check_rows, convert, read_toml, shipped
from storage.settings import Period as IndexPeriod

VERSION = 1
FALLBACK = Period(months=12)
"""What is kept when neither a regime nor the class says a number."""
_MEND = "lengthen the one or shorten the other; nobody but you can decide which of them is right"
_SIZES = {"MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,59}$")]
_Globs = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which period the indices of a class have.

    Attributes:
        since: For events from this day (UTC) on.
        period: day, week or month.
        max_size: Of an index, such as `50GiB`: a larger one is told of, so that a shorter period is chosen.
    """

    period: IndexPeriod
    since: dt.date = dt.date.min
    max_size: Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{0,5}(MiB|GiB|TiB)$")] = "50GiB"

    @property
    def max_bytes(self) -> int:
        """The size in bytes."""
        return int(self.max_size[:-3]) * _SIZES[self.max_size[-3:]]


class ClassRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A class of logs and what is promised of it.

    Attributes:
        namespaces: Patterns with ``*``.
        datasets: Patterns with ``*``.
        regimes: Those that the organisation is under here, by their names.
        hot: For how long in Elasticsearch; default: the longest `minimum_hot`, else as long as in the archive.
        cold: For how long in the archive; default: the longest `minimum`, else `FALLBACK`.
        maximum: For how long at most, for the stated purpose.
        purpose: What these logs are kept for.
        rotation: Later ones hold from their day on.
    """

    name: _Name
    namespaces: _Globs = ("*",)
    datasets: _Globs = ("*",)
    regimes: tuple[str, ...] = ()
    hot: Period | None = None
    cold: Period | None = None
    maximum: Period | None = None
    purpose: str = ""
    rotation: tuple[Rotation, ...] = ()

    def matches(self, namespace: str, dataset: str) -> bool:
        """Whether logs of this namespace and data set are of this class."""
        return any(fnmatch.fnmatchcase(namespace, each) for each in self.namespaces) and any(
            fnmatch.fnmatchcase(dataset, each) for each in self.datasets
        )


class Approvals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many people, besides the one who asks, must agree.

    Attributes:
        release: To release a hold; two people at least, with the one who asks.
        expiry: To destroy what has expired.
        erasure: To erase a person; two people at least, with the one who asks. Left out: one.
        reveal: To learn who stands behind pseudonyms; two people at least, with the one who asks. Left out: one.
    """

    release: Annotated[int, msgspec.Meta(ge=1, le=8)] = 2
    expiry: Annotated[int, msgspec.Meta(ge=0, le=8)] = 0
    # Unset, not 1: a policy that does not speak of it must keep its digest.
    erasure: Annotated[int, msgspec.Meta(ge=1, le=8)] | msgspec.UnsetType = msgspec.UNSET
    reveal: Annotated[int, msgspec.Meta(ge=1, le=8)] | msgspec.UnsetType = msgspec.UNSET


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole policy.

    Attributes:
        version: Of this format.
        time: What the organisation's own periods begin with: when an event happened, or when it was received. The
            periods of regimes always begin with the later of both.
        classes: The first that matches decides.
        approvals: Who must agree to what.
        people: Verifier key by name of a person who may ask and approve.
        regime: Rows: in a file those of the organisation, in force all that it names.
    """

    version: Literal[1]
    name: _Name
    time: Literal["event", "receipt"] = "event"
    classes: Annotated[tuple[ClassRule, ...], msgspec.Meta(min_length=1)] = msgspec.field(name="class")
    approvals: Approvals = Approvals()
    people: dict[_Name, str] = {}
    regime: tuple[Regime, ...] = ()

    def class_of(self, namespace: str, dataset: str) -> ClassRule | None:
        """The class of these logs; None: nobody said what is to become of them."""
        return next((each for each in self.classes if each.matches(namespace, dataset)), None)

    def period_of(self, namespace: str, dataset: str, day: dt.date) -> IndexPeriod | None:
        """The period of the index of an event of a day (UTC); None where the policy says none."""
        rule = self.class_of(namespace, dataset)
        begun = [each for each in rule.rotation if each.since <= day] if rule else []
        return begun[-1].period if begun else None

    def rows_of(self, rule: ClassRule) -> tuple[Regime, ...]:
        """Every dated row of the regimes of a class."""
        return tuple(row for row in self.regime if row.regime in rule.regimes)


def read_policy(path: Path) -> Policy:
    """The policy of a file, complete and free of contradictions.

    Raises:
        ConfigError: Unknown keys or regimes, or two rows that contradict each other, named.
    """
    return complete(convert(read_toml(path), Policy, str(path)), shipped(), str(path))


def complete(policy: Policy, rows: tuple[Regime, ...], where: str) -> Policy:
    """The policy with the rows it names.

    Args:
        policy: As written.
        rows: Those of the product.
        where: For the errors.

    Raises:
        ConfigError: See `read_policy`.
    """
    known = (*rows, *policy.regime)
    check_rows(known, where)
    names = {row.regime for row in known}
    asked = {name for rule in policy.classes for name in rule.regimes}
    if unknown := sorted(asked - names):
        raise ConfigError(
            f"reading retention policy: there is no regime {unknown[0]!r}",
            where=where,
            mend=f"`skytrail retention regimes` lists them: {', '.join(sorted(names))}",
        )
    whole = msgspec.structs.replace(policy, regime=tuple(row for row in known if row.regime in asked))
    if len({rule.name for rule in policy.classes}) < len(policy.classes):
        raise ConfigError("reading retention policy: two classes have the same name", where=where)
    for rule in whole.classes:
        _check_class(whole, rule, where)
    _check_people(whole, where)
    return whole


def refuse_other_past(before: Policy, after: Policy, today: dt.date) -> None:
    """Refuse to change the rotation of days that have begun: their events would be indexed a second time.

    Raises:
        ConfigError: Naming the class.
    """
    known = {rule.name: rule for rule in before.classes}
    for rule in after.classes:
        old = known.get(rule.name)
        if old is None:
            continue
        was, becomes = ([each for each in of.rotation if each.since <= today] for of in (old, rule))
        if [(each.since, each.period) for each in was] != [(each.since, each.period) for each in becomes]:
            raise ConfigError(
                f"adopting a policy: the rotation of class {rule.name!r} would change for days that have begun",
                where=f"policy {after.name!r}",
                mend="keep the lines that are in force, and add one with a later `since`",
            )


def decode(values: object, where: str) -> Policy:
    """A policy as the ledger has it.

    Raises:
        ConfigError: It is none of this version.
    """
    try:
        return msgspec.convert(values, Policy, dec_hook=as_period)
    except (msgspec.ValidationError, ValueError) as exc:
        mend = "a newer version wrote it: upgrade this one"
        raise ConfigError(f"reading the retention policy of the ledger: {exc}", where=where, mend=mend) from exc


def encode(policy: Policy) -> dict[str, object]:
    """The policy as plain values, as the ledger has it."""
    plain: dict[str, object] = msgspec.to_builtins(policy, enc_hook=str)
    return plain


def _check_class(policy: Policy, rule: ClassRule, where: str) -> None:
    """Refuse floors above ceilings and periods below floors, naming both."""
    named = f"class {rule.name!r}"
    for row in policy.rows_of(rule):
        for wanted in row.needs:
            if not getattr(rule, wanted):
                raise ConfigError(
                    f"reading retention policy: {named} is under {row.id} ({row.clause}) and states no {wanted}",
                    where=where,
                    mend=f"add {wanted} = … to the class: {row.text}",
                )
        _refuse_below(rule.cold, row.minimum, f"cold of {named}", f"the minimum of {row.id}", where)
        _refuse_below(rule.maximum, row.minimum, f"maximum of {named}", f"the minimum of {row.id}", where)
        _refuse_below(rule.hot, row.minimum_hot, f"hot of {named}", f"the hot minimum of {row.id}", where)
        for other in policy.rows_of(rule):
            _refuse_below(row.maximum, other.minimum, f"the maximum of {row.id}", f"the minimum of {other.id}", where)
        _refuse_below(row.maximum, rule.cold, f"the maximum of {row.id}", f"cold of {named}", where)
    cold, told = _archived(policy, rule)
    _refuse_below(rule.maximum, cold, f"maximum of {named}", told, where)
    _refuse_below(cold, rule.hot, told, f"hot of {named}", where)
    days = [each.since for each in rule.rotation]
    if days != sorted(set(days)):
        raise ConfigError(
            f"reading retention policy: the rotations of {named} are not in the order of their days",
            where=where,
            mend="write them oldest first, each with another `since`",
        )


def _archived(policy: Policy, rule: ClassRule) -> tuple[Period, str]:
    """For how long the archive keeps a class, and what says so: nobody need write it for it to be so."""
    if rule.cold is not None:
        return rule.cold, f"cold of class {rule.name!r}"
    rows = [(row.minimum, f"the minimum of {row.id}") for row in policy.rows_of(rule) if row.minimum is not None]
    if not rows:
        return FALLBACK, f"what class {rule.name!r} keeps in the archive, since nothing else is said,"
    longest = rows[0]
    for each in rows[1:]:
        longest = each if each[0].exceeds(longest[0]) else longest
    return longest


def _check_people(policy: Policy, where: str) -> None:
    """Refuse keys that are none, and two people with one key."""
    known: dict[bytes, str] = {}
    for name, text in policy.people.items():
        try:
            key = parse_vkey(text)
        except ValueError as exc:
            mend = "`skytrail people key NAME` prints it"
            raise ConfigError(f"reading retention policy: the key of {name}: {exc}", where=where, mend=mend) from exc
        if key.algorithm != ED25519 or key.public in known:
            told = f"is that of {known[key.public]}" if key.public in known else "is not an Ed25519 one"
            raise ConfigError(f"reading retention policy: the key of {name} {told}", where=where)
        known[key.public] = name


def _refuse_below(upper: Period | None, lower: Period | None, upper_name: str, lower_name: str, where: str) -> None:
    if upper is None or lower is None or not lower.exceeds(upper):
        return
    raise ConfigError(
        f"reading retention policy: {upper_name} ({upper}) is shorter than {lower_name} ({lower})",
        where=where,
        mend=_MEND,
    )
