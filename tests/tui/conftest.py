"""The console over a world in memory, with a clock that stands until it is moved."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable

from tests.tui.facts import NOW
from tests.tui.world import World
from tui.app import Console
from tui.client import Client
from tui.clock import Clock
from tui.look import Look


class StoppedClock(Clock):
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self._now = NOW
        self._seconds = 1000.0

    def now(self) -> datetime:
        """The moment that it stands at."""
        return self._now

    def monotonic(self) -> float:
        """Seconds that only the test moves."""
        return self._seconds

    def forward(self, seconds: float) -> None:
        """Lets time pass."""
        self._now += timedelta(seconds=seconds)
        self._seconds += seconds


async def short_pause(seconds: float) -> None:
    """Reconnects at once instead of waiting."""
    await asyncio.sleep(0.01)


async def endless_pause(seconds: float) -> None:
    """Never reconnects, so that a picture of a broken stream stands still."""
    await asyncio.Event().wait()


def console_over(
    world: World,
    *,
    signed_in: bool = True,
    plain: bool = False,
    clock: Clock | None = None,
    pause: Callable[[float], Awaitable[None]] = short_pause,
) -> Console:
    """A console that talks to `world`."""
    client = Client("http://gw01:3001", world.token() if signed_in else "", transport=world.transport())
    return Console(client, clock=clock or StoppedClock(), look=Look(plain=plain), pause=pause, version="0.1.0")


async def until(pilot: Pilot[int], condition: Callable[[], bool], what: str, seconds: float = 15.0) -> None:
    """Waits for a condition, with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen; the screen was:\n{screen_text(pilot)}")
        await pilot.pause(0.02)


def screen_text(pilot: Pilot[int]) -> str:
    """All that can be read on the screen now, one line a row."""
    app = pilot.app
    lines = []
    for strip in app.screen._compositor.render_strips():
        lines.append("".join(segment.text for segment in strip).rstrip())
    return "\n".join(lines)


def table(pilot: Pilot[int]) -> DataTable[object]:
    """The list of the screen."""
    return pilot.app.screen.query_one(DataTable)


async def settled(pilot: Pilot[int], rows: int = 8) -> None:
    """The list has come and the live stream is connected."""
    console = pilot.app
    assert isinstance(console, Console)
    await until(pilot, lambda: len(pilot.app.screen.query(DataTable)) == 1 and table(pilot).row_count == rows, f"{rows} rows")
    await until(pilot, lambda: console.live.connected and console.site == "gw01", "live connection")
    await pilot.pause()


@pytest.fixture
def world() -> Iterator[World]:
    """A fresh world."""
    yield World()
