"""REC-10: who stops waiting for a search stops the node too."""

import asyncio
from typing import Any

import httpx

from api.app import create_app
from appliance import settings
from appliance.house import House
from appliance.moments import now_ms
from appliance.receive.section import PacsNode
from tests.api.conftest import Door, served
from tests.pacs import Pacs, listening


async def entered(house: House, node: PacsNode) -> None:
    found = await house.settings()
    wanted, changed = settings.patched(
        found.settings,
        {"nodes": {"nodes": [{"name": node.name, "host": node.host, "port": node.port, "called_ae": node.called_ae}]}},
    )
    await house.save(wanted, based_on=found.version, actor="test", now=now_ms(), changed=changed)


async def test_closing_the_connection_cancels_the_search_at_the_node(house: House, door: Door) -> None:
    """REC-10: a real HTTP connection is closed while the node looks; C-CANCEL arrives there, and the API goes on."""
    pacs = Pacs()

    def slow(event: Any) -> Any:
        pacs.wait_for_cancel(event)
        yield 0xFE00, None

    pacs.answers = slow
    headers = {"X-Ranvier": "console", "Cookie": f"ranvier_session={(await door.cookie('admin'))[1]}"}
    with listening(pacs) as node:
        await entered(house, node)
        async with served(create_app(house)) as url, httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
            asking = asyncio.create_task(client.post(f"/api/nodes/{node.name}/find", json={"patient_id": "4711"}))
            assert await asyncio.to_thread(pacs.asked.wait, 60)
            asking.cancel()
            assert await asyncio.to_thread(pacs.cancelled.wait, 60)
            assert (await client.get("/api/nodes")).status_code == 200
