"""Deliveries of one process beside each other: a destination in trouble costs neither the others nor its own reports."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from appliance.delivery.section import DeliverySection, Folder, Rest
from appliance.dispatch import Dispatcher
from appliance.house import House
from appliance.moments import now_ms
from appliance.records import deliveries
from tests.journeys.reported import a_reported_order
from tests.receiving import until_async
from tests.unit.delivery.parcels import an_endpoint

PATIENCE_S = 60.0
REPORTS = 4


async def set_up(house: House, *destinations: Any, **changes: Any) -> list[str]:
    """Destinations as the settings have them, and reports for each; gives the deliveries."""
    loaded = await house.settings()
    section = DeliverySection(destinations=destinations, **changes)
    wanted = msgspec.structs.replace(loaded.settings, delivery=section)
    await house.save(wanted, based_on=loaded.version, actor="test", now=now_ms(), changed=["delivery"])
    names = [one.name for one in destinations]
    return [row.id for _ in range(REPORTS) for row in await a_reported_order(house, *names)]


async def standing(house: House) -> dict[str, list[tuple[str, int]]]:
    """Destination -> state and attempt of each of its deliveries."""
    rows = await house.records.run("SELECT destination, state, attempt FROM deliveries ORDER BY destination, id")
    found: dict[str, list[tuple[str, int]]] = {}
    for row in rows:
        found.setdefault(str(row["destination"]), []).append((str(row["state"]), int(row["attempt"])))
    return found


async def test_a_destination_that_never_answers_delays_no_other(house: House, tmp_path: Path) -> None:
    """RES-02, faults row 19: one delivery hangs at its destination while another destination gets all its reports."""
    share = tmp_path / "share"
    share.mkdir()
    stop = asyncio.Event()
    with an_endpoint("hang") as endpoint:
        dead = Rest(name="DEAD", url=endpoint.url, own_machine=True, timeout_s=600)
        await set_up(house, dead, Folder(name="SHARE", folder=str(share)))
        dispatcher = asyncio.create_task(Dispatcher(house, "w").run(stop))

        async def all_there() -> bool:
            return (await standing(house))["SHARE"] == [("SENT", 1)] * REPORTS and bool(endpoint.got)

        await until_async(all_there, "the reports at the other destination", PATIENCE_S)
        assert (await standing(house))["DEAD"] == [("SENDING", 1), *[("PENDING", 0)] * (REPORTS - 1)]
        assert len(endpoint.got) == 1, "at most one delivery of a destination is under way"
        stop.set()
    await dispatcher
    assert len(list(share.iterdir())) == REPORTS


async def test_a_destination_in_trouble_is_left_alone_and_then_gets_each_report_once(house: House) -> None:
    """RES-02, RES-04: three faults pause it, nothing is asked meanwhile and no attempt is used up; then one report tries."""
    now = [now_ms()]
    dispatcher = Dispatcher(house, "w", clock=lambda: now[0])
    with an_endpoint(503, 503, 503, 503) as endpoint:
        rows = await set_up(house, Rest(name="HIS", url=endpoint.url, own_machine=True), first_wait_s=0, breaker_pause_s=60)
        now[0] = now_ms()
        for _ in range(3):
            assert await dispatcher.deliver_once()
        answers = [(await deliveries.get(one)).answer for one in rows]
        assert [one for one in answers if "Other reports for it wait 60 s" in one], answers
        before = await standing(house)
        assert not await dispatcher.deliver_once(), "the destination is left alone"
        assert await standing(house) == before
        now[0] += 61_000
        assert await dispatcher.deliver_once()
        assert not await dispatcher.deliver_once(), "the one report that tried met a fault, and the pause doubled"
        now[0] += 121_000
        while await dispatcher.deliver_once():
            pass
    assert {state for state, _ in (await standing(house))["HIS"]} == {"SENT"}
    assert len(endpoint.got) == 4 + REPORTS
    assert len({one["headers"]["Idempotency-Key"] for one in endpoint.got[4:]}) == REPORTS
