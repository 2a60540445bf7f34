import pytest

from appliance.records.engine import Records
from appliance.records.last_use import last_use


@pytest.mark.parametrize("section", ["delivery", "nodes", "notify", "audit", "compute"])
async def test_what_was_never_used_has_no_last_use(records: Records, section: str) -> None:
    """UI-12, on either engine."""
    assert await last_use(records, section, "HIS") == 0
