"""Open records on both engines."""

from collections.abc import AsyncIterator

import pytest

from appliance.records.engine import Records, migrate


@pytest.fixture
async def records(records_url: str) -> AsyncIterator[Records]:
    """Migrated, empty records: every test that asks runs on SQLite and on PostgreSQL."""
    async with Records(records_url) as opened:
        await migrate(opened)
        yield opened
