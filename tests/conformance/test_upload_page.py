"""A patient with a CD, in a real browser: from the link to the reference number (UPL-06, PU-01 to PU-42 with face W)."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.app import create_app
from appliance.house import House
from appliance.validation import Validator
from tests.api.conftest import house, served
from tests.api.test_portal import a_code, clamd, settle
from tests.browsing import Browser, a_browser
from tests.phantoms import a_small_diffusion_study
from tests.servers import Clamd

__all__ = ["clamd", "house"]

PATIENCE_S = 60.0


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with a_browser(tmp_path) as found:
        yield found


async def until(holds: Callable[[], object]) -> None:
    """Waits until something holds in the page."""
    end = time.monotonic() + PATIENCE_S
    while not await asyncio.to_thread(holds):
        assert time.monotonic() < end, "the page did not get there"
        await asyncio.sleep(0.1)


async def test_a_patient_with_a_cd_succeeds_at_the_first_try(
    house: House, clamd: Clamd, browser: Browser, tmp_path: Path
) -> None:
    """PU-01 to PU-08, PU-13, PU-18, PU-19, PU-21 to PU-28, PU-33, PU-36, PU-52: in German, 390 px wide."""
    await settle(house, clamd)
    phantom = a_small_diffusion_study(tmp_path / "phantom")
    letter, viewer = tmp_path / "letter.pdf", tmp_path / "viewer.exe"
    letter.write_bytes(b"%PDF-1.4 letter")
    viewer.write_bytes(b"MZ" * 100)
    stop = asyncio.Event()
    looking = asyncio.create_task(Validator(house).run(stop))

    def shows(text: str) -> Callable[[], bool]:
        return lambda: text in browser.run("return document.body.textContent")

    def has(selector: str) -> Callable[[], bool]:
        return lambda: bool(browser.run("return !!document.querySelector(arguments[0])", selector))

    async def do(act: Callable[..., None], *given: object) -> None:
        await asyncio.to_thread(act, *given)

    try:
        async with served(create_app(house)) as url:
            code = await a_code(house)
            await do(browser.narrow, 390, 844)
            await do(browser.open, f"{url}/portal?lang=de#code={code}")
            await until(has("#select-files"))
            assert browser.run("return location.hash") == ""
            assert browser.run("return document.documentElement.lang") == "de"
            assert await asyncio.to_thread(has("section[aria-disabled=true]"))
            assert await asyncio.to_thread(has("a[href='tel:+49301234']"))
            await do(browser.choose_files, "#files", [letter])
            await until(has("[role=alert]"))
            assert not await asyncio.to_thread(has("#start"))
            await do(browser.choose_files, "#files", [*phantom.files, viewer])
            await until(has("#start"))
            assert await asyncio.to_thread(shows(f"{len(phantom.files)} DICOM-Dateien, 0 andere"))
            assert await asyncio.to_thread(shows("1 Programm- oder Systemdatei(en)"))
            assert not await asyncio.to_thread(has("[role=alert]"))
            assert browser.run("return document.documentElement.scrollWidth") <= 390
            for box in ("#privacy", "#sharing"):
                await do(browser.click, box)
            assert browser.run("return document.querySelector('#start').disabled")
            await do(browser.click, "#loose-0")
            browser.run(
                "const s = document.querySelector('#assign'); s.selectedIndex = 1; s.dispatchEvent(new Event('change'))"
            )
            await until(shows(f"{len(phantom.files)} DICOM-Dateien, 1 andere"))
            assert not await asyncio.to_thread(has("#loose"))
            await do(browser.type, "#comment-0", "Zweite Meinung")
            assert not browser.run("return document.querySelector('#start').disabled")
            await do(browser.click, "#privacy")
            assert browser.run("return document.querySelector('#start').disabled")
            await do(browser.click, "#privacy")
            await do(browser.picture, tmp_path / "checked.png")
            await do(browser.click, "#start")
            await until(has("#ended"))
            await do(browser.picture, tmp_path / "ended.png")
            assert await asyncio.to_thread(shows("Erfolgreich hochgeladen"))
            assert browser.run("return Object.keys(localStorage).length") == 0
            rows = await house.records.run("SELECT * FROM submissions WHERE state = 'STORED'")
            assert await asyncio.to_thread(shows(str(rows[0]["reference"])))
            assert (rows[0]["dicom"], rows[0]["documents"]) == (len(phantom.files), 1)
            assert '"language":"de"' in str(rows[0]["consent"])
            await do(browser.click, "#again")
            await until(has("#code"))
            assert browser.complaints() == []
    finally:
        stop.set()
        await looking
