"""Fixtures of the whole suite: the real engines, started once, when a test first asks for them."""

from multiprocessing import forkserver, resource_tracker

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.azurite import azurite, azurite_program
from tests.engines import engines

__all__ = ["azurite", "azurite_program", "engines"]

# How long the generation of an input takes says something of the machine, and nothing of the code under test.
settings.register_profile("busy machine", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("busy machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the suite."""
    parser.addoption("--exhaustive", action="store_true", help="every byte and step where a sample is taken else")


def pytest_runtest_teardown() -> None:
    """A command that ran in the process of a test logs to a stream of that test, which is closed by the next one."""
    structlog.reset_defaults()


def pytest_unconfigure() -> None:
    """End what multiprocessing started for the tests; by itself it ends a moment after them, and is found running.

    Python has these for its own tests and tells nobody of them.
    """
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]
