"""`python -m api`: opens the house of RANVIER_HOME and serves it until SIGTERM."""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Callable, Iterator

import uvicorn
import uvloop

from api.app import create_app
from appliance import logs
from appliance.errors import RanvierError
from appliance.house import House, default_home, open_house
from appliance.moments import now_ms
from appliance.records import processes

BEAT_S = 5.0
DRAIN_S = 10

log = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """Uvicorn's server with our own signal handling, so that the house is closed in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals to `serve`."""
        yield


async def serve(house: House, stop: asyncio.Event) -> None:
    """Serves until `stop` is set: streams end at once, requests in hand get ten seconds."""
    section = (await house.settings()).settings.access
    app = create_app(house)
    server = Server(
        uvicorn.Config(
            app,
            host=section.host,
            port=section.port,
            http="httptools",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_S,
            timeout_keep_alive=30,
            h11_max_incomplete_event_size=65_536,
        )
    )
    ended = asyncio.create_task(_until(stop, server, app.state.feed.close))
    beating = asyncio.create_task(_beat(stop))
    try:
        await server.serve()
    finally:
        stop.set()
        await asyncio.gather(ended, beating)


async def _until(stop: asyncio.Event, server: Server, end_streams: Callable[[], None]) -> None:
    await stop.wait()
    end_streams()
    server.should_exit = True


async def _beat(stop: asyncio.Event) -> None:
    process = processes.this_process("api", now_ms())
    while not stop.is_set():
        await processes.beat(process, now_ms())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), BEAT_S)
    await processes.gone(process)


async def main() -> int:
    """Opens the house and serves it; the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    home = default_home()
    async with open_house(home) as house:
        logs.start(home, "api")
        await serve(house, stop)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(uvloop.run(main()))
    except RanvierError as error:
        print(f"ranvier api: {error.what}\n  {error.advice}", file=sys.stderr)
        sys.exit(78)
