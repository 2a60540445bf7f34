"""An appliance on either engine, with one stable study and nothing to run it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from appliance.house import House
from appliance.keys import load_keys
from appliance.moments import new_id
from appliance.records.engine import Records
from appliance.records.tables import Study
from appliance.states import StudyState
from appliance.storage import Storage
from tests.unit.pipeline.programs import Gate, Stage

NOW = 1_800_000_000_000


@pytest.fixture
async def house(migrated_url: str, tmp_path: Path) -> AsyncIterator[House]:
    home = tmp_path / "home"
    keys = load_keys(home / "keys" / "root.key", create=True)
    storage = Storage(home)
    storage.prepare()
    async with Records(migrated_url) as records:
        yield House(home=home, storage=storage, keys=keys, records=records)


@pytest.fixture
async def study(house: House) -> str:
    """A stable study without instances."""
    identifier = new_id(NOW)
    row = Study(id=identifier, state=str(StudyState.STABLE), uid_key="0" * 32, first_at=NOW, last_at=NOW, instances=3)
    await Study.insert(row).run()
    return identifier


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stage:
    """A stage that a test writes itself."""
    return Stage(monkeypatch, tmp_path)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """Where programs wait until the test lets them on."""
    found = Gate(tmp_path)
    yield found
    found.close()
