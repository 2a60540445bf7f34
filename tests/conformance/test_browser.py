"""A real browser opens the API's documentation and the manual, and asks nobody but the appliance."""

import asyncio
import json
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from api.app import create_app
from appliance.house import open_house
from tests.api.conftest import served
from tests.servers import program


def _asked(log: Path, page: str) -> set[str]:
    """The addresses that the browser's own log says a page asked for; what the browser asks for itself has no page."""
    written = json.loads(log.read_text())
    return {
        str(one["params"]["url"])
        for one in written["events"]
        if "url" in one.get("params", {}) and one["params"].get("initiator") == page
    }


@pytest.mark.parametrize(
    ("path", "words"), [("/api-docs", ("openOrder", "/api/study-info/{study}")), ("/docs", ("Settings", "Errors"))]
)
async def test_a_page_is_drawn_by_a_browser_without_any_request_to_another_host(
    tmp_path: Path, path: str, words: tuple[str, ...]
) -> None:
    """UI-05: Swagger UI at /api-docs works offline, and so does the manual."""
    async with open_house(tmp_path / "home", create=True) as house, served(create_app(house)) as url:
        process = await asyncio.create_subprocess_exec(
            *(program("chromium", "chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--disable-background-networking", "--disable-component-update", "--no-first-run", "--dump-dom"),
            *(
                "--virtual-time-budget=8000",
                f"--user-data-dir={tmp_path / 'profile'}",
                f"--log-net-log={tmp_path / 'net.json'}",
            ),
            f"{url}{path}",
            stdout=PIPE,
            stderr=DEVNULL,
        )
        drawn = (await process.communicate())[0].decode()
    assert all(word in drawn for word in words), drawn[-2000:]
    asked = _asked(tmp_path / "net.json", url)
    assert asked >= ({f"{url}/api-docs/openapi.json"} if path == "/api-docs" else {f"{url}/docs/style.css"})
    assert {urlsplit(one).hostname for one in asked} == {"127.0.0.1"}, asked
