"""Fixtures of the whole suite: the real engines, started once, when a test first asks for them."""

from tests.engines import engines

__all__ = ["engines"]
