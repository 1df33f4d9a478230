"""One day of the company as the bytes that its clouds would deliver, and what an exact accounting must say about it."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from skytrail.demo.audit import ApiServer
from skytrail.demo.benign_aws import benign_aws
from skytrail.demo.benign_kubernetes import benign_kubernetes
from skytrail.demo.clock import Clock
from skytrail.demo.cloudtrail import Trail
from skytrail.demo.company import Company, found
from skytrail.demo.delivery import CLOUDTRAIL, DemoFile, audit_batches, export_file, trail_files
from skytrail.demo.identifiers import Identifiers
from skytrail.demo.people import people_at_work
from skytrail.demo.stories import stories
from skytrail.demo.story import Story

SEED: Final = 20_261_122
REDELIVERED: Final = 0.01
"""Share of the ordinary events that arrive twice, as real deliveries repeat themselves."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the accounting must come to.

    Attributes:
        received: Records in all files and batches.
        unique: Records to be indexed.
        duplicate: Records that arrive a second time, byte for byte.
        dead_lettered: Records that no format can read.
        benign: Unique records that belong to no attack.
    """

    received: int
    unique: int
    duplicate: int
    dead_lettered: int
    benign: int
    stories: tuple[Story, ...]


@dataclass(frozen=True, slots=True)
class Day:
    """Files and webhook bodies in the order of their delivery, and what they hold."""

    company: Company
    files: tuple[DemoFile, ...]
    expected: Expected

    def of_format(self, name: str) -> tuple[DemoFile, ...]:
        """The files of one format, in order."""
        return tuple(file for file in self.files if file.format == name)


def generate(rng: random.Random, now: dt.datetime) -> Day:
    """The day that ends at `now`.

    Args:
        rng: Source of every choice; the same state gives the same bytes.
        now: End of the day, with a time zone. Order of and distances between events do not depend on it.
    """
    company = found(rng)
    clock = Clock(now.astimezone(dt.UTC))
    ids = Identifiers(rng)
    trail, server = Trail(ids, clock), ApiServer(ids, clock)
    aws = benign_aws(rng, company, trail) + people_at_work(rng, company, trail)
    kubernetes = benign_kubernetes(rng, company, server)
    attacks = stories(rng, company, trail, server)
    cloudtrail, aws_twice = trail_files(rng, trail, aws, attacks, round(len(aws) * REDELIVERED))
    batches, kubernetes_twice = audit_batches(rng, kubernetes, attacks, round(len(kubernetes) * REDELIVERED))
    export, exported, broken = export_file(company, trail)
    hostile = sum(len(story.cloudtrail) + len(story.audit) for story in attacks)
    benign = len(aws) + len(kubernetes) + exported
    duplicate = aws_twice + kubernetes_twice
    return Day(
        company=company,
        files=(*cloudtrail, export, *batches),
        expected=Expected(
            received=benign + hostile + duplicate + broken,
            unique=benign + hostile,
            duplicate=duplicate,
            dead_lettered=broken,
            benign=benign,
            stories=attacks,
        ),
    )


def write_files(day: Day, directory: Path) -> tuple[Path, ...]:
    """Write the CloudTrail files as the tree that AWS makes in a bucket; webhook bodies are not files.

    Raises:
        OSError: The directory cannot be written.
    """
    written = []
    for file in day.of_format(CLOUDTRAIL):
        path = directory / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.body)
        written.append(path)
    return tuple(written)
