"""The three attacks hidden in the day, in the order in which they begin."""

from __future__ import annotations

import random

from skytrail.demo import container_escape, logging_off, stolen_key
from skytrail.demo.audit import ApiServer
from skytrail.demo.cloudtrail import Trail
from skytrail.demo.company import Company
from skytrail.demo.story import Story


def stories(rng: random.Random, company: Company, trail: Trail, server: ApiServer) -> tuple[Story, ...]:
    """A stolen key, an escape from a container to the cloud, and an insider who switches off logging."""
    return (
        stolen_key.story(rng, company, trail),
        container_escape.story(rng, company, trail, server),
        logging_off.story(rng, company, trail),
    )
