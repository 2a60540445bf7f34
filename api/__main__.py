"""`python -m api`: opens the house of RANVIER_HOME and serves it until SIGTERM."""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import uvicorn
import uvloop
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from api.app import create_app
from api.conversation import Conversation
from api.doorstep import to_https
from api.gate import Gate, allow_many_files, listen_on
from api.presented import Presented
from appliance import audit, logs
from appliance.errors import RanvierError
from appliance.house import House, default_home, open_house
from appliance.moments import now_ms
from appliance.records import processes

BEAT_S = 5.0
DRAIN_S = 10
LOOK_S = 2.0
STARTUP_FAILED = 3

log = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """Uvicorn's server behind our own gate, and with our own signal handling, so that the house is closed in order."""

    def __init__(self, config: uvicorn.Config, presented: Presented | None = None) -> None:
        super().__init__(config)
        self._presented = presented

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Opens the app, then the gate; ends the process when the port is taken."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise SystemExit(STARTUP_FAILED)
        try:
            listeners = sockets or listen_on(self.config.host, self.config.port)
        except OSError as fault:
            where = f"{self.config.host} port {self.config.port}"
            log.error("cannot listen on %s: %s", where, fault.strerror, extra={"code": "port-taken"})
            await self.lifespan.shutdown()
            raise SystemExit(STARTUP_FAILED) from fault
        shown = self._presented
        gate = Gate(
            listeners,
            self._conversation,
            context=lambda: shown.context if shown else None,
            unlimited=lambda: shown.section.trusted_proxies if shown else (),
        )
        gate.start()
        self.servers: list[Any] = [gate]
        self.started = True

    def _conversation(self, ended: Callable[[], None], refuse_plain: bool) -> Conversation:
        made = Conversation(config=self.config, server_state=self.server_state, app_state=self.lifespan.state, ended=ended)
        if refuse_plain:
            made.app = to_https
        return made

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals to `serve`."""
        yield


async def serve(house: House, stop: asyncio.Event) -> None:
    """Serves until `stop` is set: streams end at once, requests in hand get ten seconds."""
    section = (await house.settings()).settings.access
    app = create_app(house)
    presented: Presented = app.state.presented
    await presented.refresh()
    allow_many_files()
    proxies = list(section.trusted_proxies)
    server = Server(
        uvicorn.Config(
            ProxyHeadersMiddleware(app, trusted_hosts=proxies) if proxies else app,  # type: ignore[arg-type]
            host=section.host,
            port=section.port,
            ws="none",
            proxy_headers=False,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_S,
            timeout_keep_alive=30,
        ),
        presented,
    )
    ended = asyncio.create_task(_until(stop, server, app.state.feed.close))
    beating = asyncio.create_task(_beat(house, stop))
    watching = asyncio.create_task(_watch(stop, presented))
    try:
        await server.serve()
    finally:
        stop.set()
        await asyncio.gather(ended, beating, watching)


async def _until(stop: asyncio.Event, server: Server, end_streams: Callable[[], None]) -> None:
    await stop.wait()
    end_streams()
    server.should_exit = True


async def _steadily(stop: asyncio.Event, every_s: float, act: Callable[[], Awaitable[None]]) -> None:
    while not stop.is_set():
        try:
            await act()
        except Exception as fault:
            # A database that is away must end neither the front door nor its heartbeat.
            log.error("records could not be asked: %s", type(fault).__name__, exc_info=fault, extra={"code": "watch-failed"})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every_s)


async def _beat(house: House, stop: asyncio.Event) -> None:
    process = processes.this_process("api", now_ms())

    async def once() -> None:
        await processes.beat(process, now_ms())
        logs.set_level((await house.settings()).settings.logs.level)

    await _steadily(stop, BEAT_S, once)
    await processes.gone(process)


async def _watch(stop: asyncio.Event, presented: Presented) -> None:
    """Takes up changed settings of the door, and renews a certificate of our own in time."""
    await _steadily(stop, LOOK_S, presented.refresh)


async def main() -> int:
    """Opens the house and serves it; the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    home = default_home()
    async with open_house(home) as house:
        logs.start(home, "api")
        async with audit.process("api"):
            await serve(house, stop)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(uvloop.run(main()))
    except RanvierError as error:
        print(f"ranvier api: {error.what}\n  {error.advice}", file=sys.stderr)
        sys.exit(78)
