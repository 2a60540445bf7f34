"""Fixtures of the journeys."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.world import World, a_world, ready
from tests.phantoms import PhantomStudy, a_small_diffusion_study
from tests.receiving import Receiver


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> PhantomStudy:
    """One small study that every journey may send."""
    return a_small_diffusion_study(tmp_path_factory.mktemp("phantom") / "study")


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    """A receiver on an empty home folder."""
    with Receiver(tmp_path / "home") as started:
        yield started


@pytest.fixture
def started(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path / "world", {"receive": {"open_orders": False}}) as world:
        for word in ("receive", "api", "work"):
            world.start(word)
        ready(world)
        yield world
