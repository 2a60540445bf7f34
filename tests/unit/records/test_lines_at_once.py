"""The line of a study on PostgreSQL, where two write what it is made of at the same time."""

import asyncio
from collections.abc import Callable

from appliance.records.engine import Records
from appliance.records.lists import study_line

STUDY, ORDER = "0" * 36, "1" * 36


async def test_two_that_change_a_study_and_its_order_at_once_both_stand_in_its_line(
    postgres_server: Callable[..., str], postgres_template: str
) -> None:
    """Whoever waits for the other's row reads the newest of both afterwards; on SQLite one writes at a time."""
    async with Records(str(postgres_server(postgres_template))) as records:
        await records.run("INSERT INTO studies (id, uid_key, state, instances) VALUES ({}, 'u', 'STABLE', 1)", STUDY)
        await records.run("INSERT INTO orders (id, study, state) VALUES ({}, {}, 'QC')", ORDER, STUDY)
        began, waited = asyncio.Event(), asyncio.Event()

        async def filing() -> None:
            async with records.transaction():
                await records.run("UPDATE studies SET instances = 7 WHERE id = {}", STUDY)
                began.set()
                await waited.wait()

        async def progress() -> None:
            await began.wait()
            await records.run("UPDATE orders SET percent = 43 WHERE id = {}", ORDER)

        async def until_it_waits() -> None:
            await began.wait()
            async with asyncio.timeout(60):
                while not await records.run(
                    "SELECT 1 AS one FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
                ):
                    await asyncio.sleep(0.01)
            waited.set()

        await asyncio.gather(filing(), progress(), until_it_waits())
        line = await study_line(records, STUDY)
        assert (line.instances, line.percent) == (7, 43)
