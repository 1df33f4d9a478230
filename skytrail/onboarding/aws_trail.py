"""Whether the trail that fills a bucket logs all that it should: switched on, every region, digests, every event.

https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_GetTrailStatus.html
https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_GetEventSelectors.html
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ingest.transports.aws.calls import AwsCalls
from skytrail.diagnosis.check import Check
from skytrail.onboarding.aws_asking import optional
from skytrail.onboarding.proving import ProofStep

_OLD = dt.timedelta(days=1)
_WHY = {
    "AccessDenied": "let cloudtrail.amazonaws.com write in the policies of the bucket and of the key",
    "NoSuchBucket": "make the bucket again, or name another one in the trail",
}


class TrailProof:
    """The steps of one trail.

    Args:
        calls: As the collector makes them.
        belongs: Whether a trail, as CloudTrail describes it, is the one that fills our queue.
        now: The present (UTC).

    Attributes:
        found: The trail, once its step is done.
    """

    def __init__(
        self, calls: AwsCalls, belongs: Callable[[Mapping[str, Any]], bool], now: Callable[[], dt.datetime]
    ) -> None:
        self._calls = calls
        self._belongs = belongs
        self._now = now
        self.found: Mapping[str, Any] = {}

    def steps(self, *needs: str) -> list[ProofStep]:
        """The steps, in their order; all that ask CloudTrail are skipped where we may not."""
        after = ("trail",)
        return [
            ProofStep("trail", optional("trail", self._find), needs),
            ProofStep("logging", optional("logging", self._logging), after),
            ProofStep("regions", self._regions, after),
            ProofStep("digests", optional("digests", self._digests), after),
            ProofStep("selected events", optional("selected events", self._selected), after),
        ]

    async def _find(self) -> Iterable[Check]:
        answer: dict[str, Any] = await self._calls("cloudtrail", "describe_trails", where="trails of the region")
        trails = answer.get("trailList", [])
        ours = [trail for trail in trails if self._belongs(trail)]
        if not ours:
            others = ", ".join(trail["Name"] for trail in trails) or "there is no trail"
            mend = "apply what `skytrail onboard aws` prints, or let the bucket of your trail announce to this queue"
            return [Check("trail", "fail", f"none fills a bucket that this queue hears of: {others}", mend)]
        self.found = ours[0]
        of = "the organisation" if self.found.get("IsOrganizationTrail") else "one account"
        return [Check("trail", "ok", f"{self.found['TrailARN']} of {of}, into {self.found['S3BucketName']}")]

    async def _ask(self, operation: str, key: str) -> dict[str, Any]:
        arn = self.found["TrailARN"]
        answer: dict[str, Any] = await self._calls("cloudtrail", operation, where=arn, **{key: arn})
        return answer

    async def _logging(self) -> Iterable[Check]:
        status = await self._ask("get_trail_status", "Name")
        name = self.found["Name"]
        if not status.get("IsLogging"):
            return [
                Check("logging", "fail", "the trail is switched off", f"aws cloudtrail start-logging --name {name}")
            ]
        if error := status.get("LatestDeliveryError"):
            return [Check("logging", "fail", f"CloudTrail can't deliver: {error}", _why(error))]
        at: dt.datetime | None = status.get("LatestDeliveryTime")
        if at is None:
            return [Check("logging", "warn", "on, nothing delivered yet", "look again in 15 minutes")]
        if self._now() - at > _OLD:
            mend = "call something in the account and look again: even a quiet account has an event a day"
            return [Check("logging", "warn", f"on, the last delivery was at {_time(at)}", mend)]
        return [Check("logging", "ok", f"on, the last delivery was at {_time(at)}")]

    async def _regions(self) -> Iterable[Check]:
        name = self.found["Name"]
        if not self.found.get("IsMultiRegionTrail"):
            mend = f"aws cloudtrail update-trail --name {name} --is-multi-region-trail"
            told = f"only {self.found.get('HomeRegion', 'one region')}: what happens elsewhere is not seen"
            return [Check("regions", "fail", told, mend)]
        if not self.found.get("IncludeGlobalServiceEvents"):
            mend = f"aws cloudtrail update-trail --name {name} --include-global-service-events"
            return [Check("regions", "fail", "global services are left out: IAM, STS, CloudFront are not seen", mend)]
        return [Check("regions", "ok", "every region, and global services")]

    async def _digests(self) -> Iterable[Check]:
        if not self.found.get("LogFileValidationEnabled"):
            mend = f"aws cloudtrail update-trail --name {self.found['Name']} --enable-log-file-validation"
            return [Check("digests", "fail", "off: nobody could tell a changed or missing file", mend)]
        status = await self._ask("get_trail_status", "Name")
        if error := status.get("LatestDigestDeliveryError"):
            return [Check("digests", "fail", f"CloudTrail can't deliver them: {error}", _why(error))]
        at: dt.datetime | None = status.get("LatestDigestDeliveryTime")
        told = f"the last one was delivered at {_time(at)}" if at else "the first one comes within an hour"
        if at and self._now() - at > _OLD:
            mend = "one comes every hour, even if nothing happened: ask the console of CloudTrail what keeps them back"
            return [Check("digests", "warn", f"on, {told}", mend)]
        return [Check("digests", "ok", f"on, {told}")]

    async def _selected(self) -> Iterable[Check]:
        lacking = lacking_events(await self._ask("get_event_selectors", "TrailName"))
        if lacking:
            mend = "rules that need them are blind: `aws cloudtrail put-event-selectors`, management events: all"
            return [Check("selected events", "warn", "; ".join(lacking), mend)]
        return [Check("selected events", "ok", "every management event")]


def lacking_events(selectors: Mapping[str, Any]) -> list[str]:
    """What of the management events is not logged, in words. Pure.

    Args:
        selectors: The answer of GetEventSelectors.
    """
    basic = [each for each in selectors.get("EventSelectors") or () if each.get("IncludeManagementEvents", True)]
    advanced = selectors.get("AdvancedEventSelectors") or ()
    if advanced:
        return _lacking_advanced(advanced)
    if not basic:
        return ["management events are not logged"] if selectors.get("EventSelectors") else []
    logged = {each.get("ReadWriteType", "All") for each in basic}
    lacking = []
    if "All" not in logged and logged != {"ReadOnly", "WriteOnly"}:
        lacking.append("reads are not logged" if "WriteOnly" in logged else "writes are not logged")
    without = sorted({source for each in basic for source in each.get("ExcludeManagementEventSources") or ()})
    if without:
        lacking.append(f"{', '.join(without)} left out")
    return lacking


def _lacking_advanced(selectors: Iterable[Mapping[str, Any]]) -> list[str]:
    narrowed: list[str] = []
    for selector in selectors:
        fields = {each["Field"]: each for each in selector.get("FieldSelectors", ())}
        if "Management" not in fields.pop("eventCategory", {}).get("Equals", ()):
            continue
        if not fields:
            return []
        narrowed.append(f"management events only where {', '.join(sorted(fields))} fit")
    return narrowed or ["management events are not logged"]


def _why(error: str) -> str:
    fits = (mend for code, mend in _WHY.items() if code in error)
    return next(fits, "look at the trail's bucket and key: the console of CloudTrail names the same error")


def _time(at: dt.datetime) -> str:
    return f"{at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
