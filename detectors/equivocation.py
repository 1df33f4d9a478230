"""The built-in alert for a rewritten event: other bytes under an id that is already taken.

It has no Sigma condition, because it follows from comparing two documents; everything else is as for any rule.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from detectors.attack import read_tags
from detectors.detection import Detection, EventRef, context_of, principal_of
from detectors.rule import OWN_AUTHOR, PRINCIPAL_FIELD, Rule, Suppression
from detectors.sigma.ast import Or
from ingest.formats.contract import LogSource

RULE_ID = "skytrail-equivocation"
VERSION = "1"
WINDOW_S = 3600
TAGS = ("attack.defense_evasion", "attack.t1070")


def rule() -> Rule:
    """The rule's metadata; its condition never holds, the comparison of documents decides."""
    tactics, techniques, _ = read_tags(TAGS)
    return Rule(
        id=RULE_ID,
        uuid="6b0f5f0e-6f57-4b34-9d0e-0f1a8b4b7c52",
        version=VERSION,
        title="Event rewritten under an id already taken",
        level="high",
        severity=73,
        description="Two different events came under one id. One of them was altered after the fact, or invented.",
        author=OWN_AUTHOR,
        license="",
        references=(),
        tags=TAGS,
        tactics=tactics,
        techniques=techniques,
        false_positives=(
            "A source that gives one id to several events; the mapping of its format must be corrected then.",
        ),
        runbook=(
            "Open both documents: skytrail.equivocation_of of the second names the first; compare event.original.",
            "Find both in the archive by skytrail.kafka of each: when and how (log.file.path) did each arrive?",
            "Ask the provider's own console for the event of this id; whichever differs was not written by it.",
        ),
        reason="",
        suppression=Suppression((PRINCIPAL_FIELD,), WINDOW_S),
        log_source=LogSource("skytrail"),
        condition=Or(()),
        tests=(),
        digest=VERSION,
        source=__name__,
    )


def equivocation(document: Mapping[str, Any], index: str, new_id: str, leaf: str, first_id: str) -> Detection:
    """The detection of a second version of a record.

    Args:
        document: The second version, as it is indexed.
        new_id: Its document id.
        leaf: Its hex leaf hash.
        first_id: Document id of the version that came first.
    """
    uid = str(document["skytrail"]["uid"])
    return Detection(
        rule_id=RULE_ID,
        rule_version=VERSION,
        ruleset_version=VERSION,
        namespace=document["data_stream"]["namespace"],
        format=document["skytrail"]["format"],
        group_key=f"{document['skytrail']['format']}|{uid}"[:200],
        window_seconds=WINDOW_S,
        member=new_id,
        event=EventRef(index=index, id=new_id, hash=leaf),
        at=dt.datetime.fromisoformat(document["@timestamp"]),
        principal=principal_of(document),
        reason=f"a second, different event came under the id {uid[:120]}; the first is document {first_id}",
        context=context_of(document),
    )
