"""The built-in alerts of the watch over sources: who switches a log off blinds every rule that reads it.

They have no Sigma condition, because they follow from what did not come; everything else is as for any rule.
"""

from __future__ import annotations

from collections.abc import Sequence

from detectors.attack import read_tags
from detectors.detection import Detection, EventRef, Principal
from detectors.rule import OWN_AUTHOR, Rule, Suppression
from detectors.sigma.ast import Or
from detectors.source_watch.state import moment_of
from detectors.source_watch.watch import Notice
from ingest.formats.contract import LogSource

VERSION = "1"
SHOWN_RULES = 10
_TAGS = ("attack.defense_evasion", "attack.t1562.008")
_LOG_OFF = (
    "Ask the source's own console whether logging is on: its trail, diagnostic setting, sink or audit flags.",
    "Look for who changed it in the hour before the last record: `skytrail search` for the account, newest first.",
    "`skytrail onboard check NAME` names the step at which nothing comes any more.",
)
_KINDS: dict[str, tuple[str, str, str, tuple[str, ...], str]] = {
    "silent": (
        "skytrail-source-silent",
        "Source of logs fell silent",
        "high",
        _LOG_OFF,
        "A quiet source: state its interval in watch.expected_interval_s. A day off, where it paused as usual.",
    ),
    "dropped": (
        "skytrail-source-dropped",
        "Source of logs brings far fewer records than usual",
        "medium",
        _LOG_OFF,
        "A holiday, or a workload that ended.",
    ),
    "lag": (
        "skytrail-lag-growing",
        "Records wait longer and longer to be worked on",
        "medium",
        (
            "`skytrail status` names the role that is behind; its log says what it waits for.",
            "Start more workers of that role, or mend what it waits for. Kafka keeps the records meanwhile.",
        ),
        "A large import of old logs.",
    ),
    "recovered": (
        "skytrail-source-recovered",
        "Source of logs is back",
        "low",
        (
            "Check whether what was missing arrived late or never: `skytrail status`, and the source's own counts.",
            "Where nothing arrived: fetch it again from the source, e.g. from its bucket.",
        ),
        "None: it ends an earlier alert.",
    ),
}
_SEVERITIES = {"low": 21, "medium": 47, "high": 73}


def rules() -> tuple[Rule, ...]:
    """The metadata of the four; their conditions never hold, the watch decides."""
    return tuple(_rule(kind) for kind in _KINDS)


def detection(notice: Notice, blind: Sequence[str]) -> Detection:
    """What a notice says to people.

    Args:
        blind: Names of the rules that see nothing meanwhile.
    """
    namespace, format_name = (notice.about.split("|", 2) if "|" in notice.about else ("default", "", ""))[:2]
    incident = f"{notice.kind}|{notice.about}|{notice.since}"
    return Detection(
        rule_id=_KINDS[notice.kind][0],
        rule_version=VERSION,
        ruleset_version=VERSION,
        namespace=namespace,
        format=format_name,
        group_key=incident[-200:],
        window_seconds=0,
        member=incident[-200:],
        event=EventRef(index="", id="", hash=""),
        at=moment_of(notice.since),
        principal=Principal("", "", ""),
        reason=word(notice, blind),
        context={},
    )


def word(notice: Notice, blind: Sequence[str]) -> str:
    """A notice as one sentence."""
    since = f"{moment_of(notice.since):%Y-%m-%d %H:%M:%SZ}"
    match notice.kind:
        case "silent":
            usual = f"a record every {_span(notice.seconds)}" if notice.seconds else "its habit is not known yet"
            if "||" in notice.about:
                return (
                    f"nothing ever came from {_named(notice.about)}, and nothing since {since} (expected: {usual}). "
                    "Every rule that reads it is blind meanwhile."
                )
            rest = "It paused as usual and did not begin again; a day off looks the same. " if notice.rested else ""
            return f"nothing came from {_named(notice.about)} since {since} (expected: {usual}). {rest}{_blind(blind)}"
        case "dropped":
            return (
                f"{_named(notice.about)} brought {notice.number} records in the hour from {since}, usually "
                f"{notice.usual}. {_blind(blind)}"
            )
        case "lag":
            return (
                f"the role {notice.about} is behind by {notice.number} messages and does not catch up: "
                f"{notice.usual} waited at {since}."
            )
        case "recovered":
            return f"{_named(notice.about)} is back to normal, {_span(notice.seconds)} after {since}."


def _rule(kind: str) -> Rule:
    name, title, level, runbook, innocent = _KINDS[kind]
    tactics, techniques, _ = read_tags(_TAGS)
    return Rule(
        id=name,
        uuid="",
        version=VERSION,
        title=title,
        level=level,
        severity=_SEVERITIES[level],
        description="Rules that read this source see nothing, or not everything, meanwhile.",
        author=OWN_AUTHOR,
        license="",
        references=(),
        tags=_TAGS,
        tactics=tactics,
        techniques=techniques,
        false_positives=(innocent,),
        runbook=runbook,
        reason="",
        suppression=Suppression((), 0),
        log_source=LogSource("skytrail"),
        condition=Or(()),
        tests=(),
        digest=VERSION,
        source=__name__,
    )


def _named(about: str) -> str:
    if "|" not in about:
        return f"the role {about}"
    namespace, format_name, collector = about.split("|", 2)
    if not format_name:
        return f"the collector {collector}"
    return f"{collector} ({format_name}, namespace {namespace})"


def _blind(names: Sequence[str]) -> str:
    if not names:
        return "No rule reads it."
    more = f" and {len(names) - SHOWN_RULES} more" if len(names) > SHOWN_RULES else ""
    return f"{len(names)} rules are blind meanwhile: {', '.join(names[:SHOWN_RULES])}{more}."


def _span(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 2:  # noqa: PLR2004 - below two minutes seconds say more
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"  # noqa: PLR2004 - as for minutes
