"""Databases of tests: empty ones, and copies of one whose tables were made once for each test process."""

import asyncio
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.records.engine import Records, migrate


def _migrated(url: str) -> str:
    """The address of a database, its tables made; from a thread of its own, for the caller's may run a loop."""

    async def work() -> None:
        async with Records(url) as records:
            await migrate(records)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work()).result()
    return url


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database whose tables are made: copying it is a hundredth of making them."""
    path = tmp_path_factory.mktemp("migrated") / "ranvier.db"
    _migrated(f"sqlite://{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: Callable[..., str]) -> str:
    """The address of a PostgreSQL database whose tables are made."""
    return _migrated(postgres_server())


@pytest.fixture(params=["sqlite", "postgres"])
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database with its tables and no row; the test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite://{_copied(request.getfixturevalue('migrated_file'), tmp_path)}"
    server, template = (request.getfixturevalue(name) for name in ("postgres_server", "postgres_template"))
    return str(server(template))


@pytest.fixture
def new_home(tmp_path: Path, migrated_file: Path) -> Path:
    """The folder of an appliance that has its tables and nothing else yet."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    _copied(migrated_file, home)
    return home


def _copied(file: Path, folder: Path) -> Path:
    path = folder / file.name
    path.touch(mode=0o600)
    return Path(shutil.copyfile(file, path))
