"""The real process of the API for tests that need a network: `python -m api` on a free port, and raw bytes to it."""

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from appliance import settings
from appliance.access.tokens import create_token
from appliance.house import HOME_VARIABLE, open_house
from appliance.moments import now_ms
from tests.certificates import Pair

PATIENCE_S = 60


@dataclass(frozen=True)
class Serving:
    """`python -m api` on a free port."""

    home: Path
    port: int
    token: str
    pid: int

    def client(self, trust: str | bool = False, scheme: str = "https", address: str = "") -> httpx.AsyncClient:
        """A client that trusts one certificate, or looks at none; it may call from an address of its own."""
        verify = ssl.create_default_context(cadata=trust) if isinstance(trust, str) else trust
        transport = httpx.AsyncHTTPTransport(verify=verify, local_address=address or None)
        headers = {"Authorization": f"Bearer {self.token}"}
        host = "127.0.0.1" if address else "localhost"
        return httpx.AsyncClient(
            base_url=f"{scheme}://{host}:{self.port}", transport=transport, headers=headers, timeout=30, trust_env=False
        )

    async def use(self, pair: Pair, authority: str = "") -> httpx.Response:
        """Uploads a certificate."""
        given = {"certificate": pair.certificate, "key": pair.key, "authority": authority}
        async with self.client() as client:
            return await client.put("/api/certificate", json=given)

    async def say(self, content: bytes, seconds: float = PATIENCE_S) -> bytes:
        """Sends bytes as they are, over plain HTTP; gives all that comes until the connection ends."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(content)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
                return await asyncio.wait_for(reader.read(-1), seconds)
            return b""
        finally:
            writer.close()

    def memory_kb(self) -> int:
        """Resident memory of the process."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


async def prepared(folder: Path, port: int, **access: object) -> str:
    """A new home whose API will be on a port; gives an administrator's token."""
    async with open_house(folder, create=True) as house:
        change = {"access": {"host": "127.0.0.1", "port": port, **access}}
        result, changed = settings.patched((await house.settings()).settings, change)
        await house.save(result, based_on=0, actor="test", now=now_ms(), changed=changed)
        return (await create_token(house.keys, "machine", "admin", created_by="test", now=now_ms())).secret


@contextlib.asynccontextmanager
async def serving(folder: Path, port: int, **access: object) -> AsyncIterator[Serving]:
    """The process, up and answering."""
    token = await prepared(folder, port, **access)
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "api", env={**os.environ, HOME_VARIABLE: str(folder)})
    try:
        found = Serving(folder, port, token, process.pid)
        async with asyncio.timeout(PATIENCE_S), found.client(scheme="http") as client:
            while process.returncode is None:
                try:
                    await client.get("/health")
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
                else:
                    break
        assert process.returncode is None
        yield found
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def shut(port: int, *, small_window: bool = False) -> socket.socket:
    """A plain connection that nobody reads from; with a small window little of an answer fits on its way."""
    wire = socket.socket()
    if small_window:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    wire.settimeout(30)
    wire.connect(("127.0.0.1", port))
    return wire
