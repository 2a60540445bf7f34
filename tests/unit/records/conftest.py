"""Open records on both engines."""

from collections.abc import AsyncIterator

import pytest

from appliance.records.engine import Records


@pytest.fixture
async def records(migrated_url: str) -> AsyncIterator[Records]:
    """Migrated, empty records: every test that asks runs on SQLite and on PostgreSQL."""
    async with Records(migrated_url) as opened:
        yield opened
