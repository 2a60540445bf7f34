"""/metrics is what Prometheus reads: its own checker takes it, and no patient is part of it."""

import asyncio
import subprocess
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from appliance import settings
from appliance.access.tokens import create_token
from appliance.moments import now_ms
from tests.api.conftest import Door, Filed, an_order, served
from tests.servers import program


async def save(door: Door, change: dict[str, Any]) -> None:
    found = await door.house.settings()
    wanted, changed = settings.patched(found.settings, change)
    await door.house.save(wanted, based_on=found.version, actor="test", now=now_ms(), changed=changed)


async def test_prometheus_own_checker_takes_the_page_and_it_names_nobody(door: Door, filed: Filed) -> None:
    """NOT-05: promtool finds no fault; the figures are those of the records; no patient value stands in it."""
    await an_order(door.house, filed.study, state="FAILED")
    answer = await door.call("admin", "GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    argv = [program("promtool", "prometheus"), "check", "metrics"]
    checked = await asyncio.to_thread(subprocess.run, argv, input=answer.content, capture_output=True, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    found = {one.name: one for one in text_string_to_metric_families(answer.text)}
    assert {one.labels["state"]: one.value for one in found["ranvier_orders"].samples} == {"FAILED": 1.0}
    assert sum(one.value for one in found["ranvier_studies"].samples) == 1.0
    assert found["ranvier_disk_free_bytes"].samples[0].value > 0
    lowered = answer.text.lower()
    assert not [token for token in filed.phantom.identity_tokens if token.lower() in lowered]


async def test_only_tokens_that_may_and_listed_addresses_read_it(door: Door) -> None:
    """NOT-05: denied by default; a token of a machine whose scopes hold it, or an address of the settings."""
    tokens = {
        scopes: await create_token(door.house.keys, f"of {scopes}", "service", created_by="a", now=now_ms(), scopes=scopes)
        for scopes in (frozenset({"metrics.read"}), frozenset({"orders.read"}))
    }
    async with served(create_app(door.house)) as url, httpx.AsyncClient(base_url=url) as client:

        async def status(secret: str = "", path: str = "/metrics") -> int:
            headers = {"Authorization": f"Bearer {secret}"} if secret else {}
            return (await client.get(path, headers=headers)).status_code

        wide, narrow = (one.secret for one in tokens.values())
        assert (await status(), await status(wide), await status(narrow)) == (401, 200, 403)
        assert (await door.call("user", "GET", "/metrics")).status_code == 403
        await save(door, {"metrics": {"addresses": ["198.51.100.0/24"]}})
        assert await status() == 401
        await save(door, {"metrics": {"addresses": ["127.0.0.0/8"]}})
        assert (await status(), await status(path="/api/status")) == (200, 401)
        assert (await status(narrow), await status("no such token")) == (403, 401)
