"""The console's first paint waits for nothing heavy, and the visitor knows neither house nor front door."""

import subprocess
import sys

import pytest

HEAVY = ("httpx", "pydicom", "numpy", "piccolo", "PIL", "litestar", "pynetdicom", "nibabel")
FOREIGN = ("api", "appliance")
ASK = "import sys; {work}; print(','.join(sorted(name for name in sys.modules)))"


def modules_after(work: str) -> set[str]:
    """The modules of a fresh process after some work."""
    run = subprocess.run([sys.executable, "-c", ASK.format(work=work)], capture_output=True, text=True, check=True)
    return set(run.stdout.strip().splitlines()[-1].split(","))


@pytest.mark.parametrize(
    "work",
    [
        "import tui.app",
        "import tui.app; tui.app._studies()",
        "import tui.screens.login, tui.screens.studies, tui.screens.study, tui.screens.results, tui.screens.system",
        "import tui.commands.studies, tui.commands.orders, tui.commands.settings",
    ],
)
def test_nothing_heavy_is_imported_before_the_first_request(work: str) -> None:
    assert modules_after(work).isdisjoint({*HEAVY, *FOREIGN})


def test_the_version_is_told_without_loading_textual_or_anything_heavy() -> None:
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "tui", "--version"], capture_output=True, text=True, check=True
    )
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in run.stderr.splitlines() if "|" in line}
    assert run.stdout.strip()[0].isdigit()
    assert loaded.isdisjoint({*HEAVY, *FOREIGN, "textual", "rich"})


PAINT = """
import asyncio, sys
from tui.app import Console
from tui.client import Client

async def never(*given, **more):
    await asyncio.Event().wait()

async def main():
    client = Client('http://127.0.0.1:9', TOKEN)
    client.call = client.lines = never
    async with Console(client).run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        print(sorted(set(HEAVY) & set(sys.modules)))

asyncio.run(main())
"""


@pytest.mark.parametrize("token", ["", "a-session"])
def test_only_the_first_request_loads_httpx(token: str) -> None:
    work = PAINT.replace("TOKEN", repr(token)).replace("HEAVY", repr(HEAVY))
    run = subprocess.run([sys.executable, "-c", work], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
