"""Open records, keys and the settings of access, at a time of their own."""

from collections.abc import AsyncIterator

import pytest

from appliance.access.section import AccessSection
from appliance.keys import Keys
from appliance.records.engine import Records

NOW = 1_790_000_000_000


@pytest.fixture
async def records(migrated_url: str) -> AsyncIterator[Records]:
    """Migrated, empty records on both engines."""
    async with Records(migrated_url) as opened:
        yield opened


@pytest.fixture
def keys() -> Keys:
    """Keys from a fixed root."""
    return Keys(b"\x07" * 32)


@pytest.fixture
def section() -> AccessSection:
    """The defaults: five tries, five minutes, eight hours."""
    return AccessSection()
