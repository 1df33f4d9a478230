"""Up to where a partition is sealed, as its chains tell."""

from __future__ import annotations

from collections import Counter

from storage.archive.chain import Chain
from storage.archive.manifest import Partition

MAX_GAPS = 4  # of a manifest; beyond, the two oldest are merged into one


def progress(chains: dict[str, Chain]) -> tuple[int | None, Partition | None]:
    """Up to where the partition is sealed, and what is known of it, from the ends of its chains.

    A batch cut in the middle counts only up to where it began; see `Batch`.
    """
    tips = [chain.last for chain in chains.values() if chain.last is not None]
    if not tips:
        return None, None
    written = Counter((tip.batch, tip.sealed_at) for tip in tips)
    through = max(
        tip.batch.last_offset if written[tip.batch, tip.sealed_at] >= tip.batch.parts else tip.batch.first_offset - 1
        for tip in tips
    )
    newest = max(tips, key=lambda tip: (tip.covers.last_offset, tip.sealed_at))
    return through, newest.partition


def bounded(gaps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The gaps, of which the oldest were merged so that a manifest stays small."""
    while len(gaps) > MAX_GAPS:
        gaps[:2] = [(gaps[0][0], gaps[1][1])]
    return gaps
