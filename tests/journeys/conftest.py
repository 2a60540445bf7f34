"""Fixtures of the journeys."""

from collections.abc import Iterator
from pathlib import Path

import pytest

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
