"""Fixtures of the whole suite: the real engines, started once, when a test first asks for them."""

from hypothesis import HealthCheck, settings

from tests.azurite import azurite
from tests.engines import engines

__all__ = ["azurite", "engines"]

# How long the generation of an input takes says something of the machine, and nothing of the code under test.
settings.register_profile("busy machine", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("busy machine")
