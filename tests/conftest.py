"""Fixtures that every test may use."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.databases import migrated_file, migrated_url, new_home, postgres_template
from tests.servers import orthanc, postgres_server, postgres_url, records_url, storescp

__all__ = [
    "migrated_file",
    "migrated_url",
    "new_home",
    "orthanc",
    "postgres_server",
    "postgres_template",
    "postgres_url",
    "records_url",
    "storescp",
]

REPOSITORY = Path(__file__).resolve().parents[1]

# A machine that does something else for a second is no fault of the values that a test draws.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")


def _data_folder() -> Path:
    named = Path(os.environ.get("RANVIER_DATA") or "../shared/data")
    return (named if named.is_absolute() else REPOSITORY / named).resolve()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    no_data = pytest.mark.skip(reason="RANVIER_DATA names no folder of real studies")
    not_long = pytest.mark.skip(reason="the full counts run under tests/run --long")
    has_data = (_data_folder() / "manifest.csv").is_file()
    for item in items:
        if item.get_closest_marker("needs_data") and not has_data:
            item.add_marker(no_data)
        if item.get_closest_marker("long") and os.environ.get("RANVIER_LONG") != "1":
            item.add_marker(not_long)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real studies; skips where there is none."""
    folder = _data_folder()
    if not (folder / "manifest.csv").is_file():
        pytest.skip("RANVIER_DATA names no folder of real studies")
    return folder


@pytest.fixture
def free_ports() -> Callable[[], int]:
    """Gives a port of the loopback address that nobody listens on, a new one at every call."""
    given: set[int] = set()

    def pick() -> int:
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = int(probe.getsockname()[1])
            if port not in given:
                given.add(port)
                return port

    return pick


@pytest.fixture
def free_port(free_ports: Callable[[], int]) -> int:
    """One port of the loopback address that nobody listens on."""
    return free_ports()
