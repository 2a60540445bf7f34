"""What slow callers cost the others: the p95 of a status call during each attack, beside the same run's quiet time."""

import asyncio
import math
import sys
import tempfile
import time
from pathlib import Path

from tests.api.front import Serving, serving
from tests.bench.figures import Figure, figure
from tests.servers import a_free_port, program

SECONDS = 30
CONNECTIONS = 1000
ELSEWHERE = "127.0.0.9"
GOAL = 0.5
"""Under twice the quiet p95."""
GROWTH_MB = 50.0
ATTACKS = {
    "slow head (slowloris)": ("-H",),
    "slow body": ("-B", "-t", "POST", "-s", "8192"),
    "slow reading": ("-X", "-w", "64", "-y", "128", "-n", "1", "-z", "8"),
}


def measure() -> list[Figure]:
    """Quiet, then each attack by slowhttptest with as many connections as it takes, then endless bodies of 4 GiB."""
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    found: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder) / "home", a_free_port()) as api:
            await _p95(api, asyncio.create_task(asyncio.sleep(2)))
            quiet = await _p95(api, asyncio.create_task(asyncio.sleep(SECONDS)))
            before = api.memory_kb()
            for name, words in ATTACKS.items():
                path = "/api-docs/assets/swagger-ui-bundle.js" if "-X" in words else "/api/login"
                during = await _p95(api, asyncio.create_task(_attack(api, path, words, Path(folder))))
                found.append(_beside(f"p95 of others during {name}", during, quiet))
            during = await _p95(api, asyncio.create_task(_endless(api)))
            found.append(_beside("p95 of others during 4 GiB bodies", during, quiet))
            growth = max(0.1, (api.memory_kb() - before) / 1024)
            found.append(figure("memory growth by all attacks", [growth], "the goal", [GROWTH_MB], "MB", "lower", goal=1.0))
    return found


def _beside(name: str, during: float, quiet: float) -> Figure:
    return figure(name, [during], "the same, quiet", [quiet], "ms", "lower", goal=GOAL)


async def _p95(api: Serving, until: "asyncio.Task[None]") -> float:
    """Milliseconds, of calls one after the other while a task runs."""
    took: list[float] = []
    async with api.client(address=ELSEWHERE) as client:
        while not until.done():
            started = time.perf_counter()
            answer = await client.get("/api/status")
            took.append((time.perf_counter() - started) * 1000)
            assert answer.status_code == 200, answer.text
            await asyncio.sleep(0.02)
    await until
    return sorted(took)[math.ceil(len(took) * 0.95) - 1]


async def _attack(api: Serving, path: str, words: tuple[str, ...], folder: Path) -> None:
    await _elsewhere(
        program("slowhttptest", "slowhttptest"),
        *(*words, "-u", f"https://127.0.0.1:{api.port}{path}"),
        *("-c", str(CONNECTIONS), "-r", "200", "-l", str(SECONDS), "-i", "2", "-p", "3"),
        folder=folder,
    )


ENDLESS = """
import sys, time, httpx
url, token, seconds = sys.argv[1:]
end = time.monotonic() + float(seconds)
zeros = lambda: (b"\\0" * 65_536 for _ in range(65_536))
head = {"Authorization": f"Bearer {token}", "Content-Length": str(4 * 2**30)}
with httpx.Client(verify=False, timeout=10, trust_env=False) as client:
    while time.monotonic() < end:
        try:
            client.post(url, content=zeros(), headers=head)
        except httpx.TransportError:
            pass
"""


async def _endless(api: Serving) -> None:
    url = f"https://127.0.0.1:{api.port}/api/password-rule"
    await _elsewhere(sys.executable, "-c", ENDLESS, url, api.token, str(SECONDS), folder=None)


async def _elsewhere(*words: str, folder: Path | None) -> None:
    """A program whose own use of the processors gives way: in truth the attacker has a machine of their own."""
    process = await asyncio.create_subprocess_exec(
        *("nice", "-n", "19", *words),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    await process.wait()
