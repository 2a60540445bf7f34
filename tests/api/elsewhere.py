"""A caller from another machine, for machines whose only address is the loopback's: in a network of its own.

`unshare --map-root-user --net python -m tests.api.elsewhere HOME` serves a new appliance there and asks it from an address that
the loopback interface gets beside its own.
"""

import asyncio
import fcntl
import socket
import struct
import sys
from pathlib import Path

import httpx

from tests.api.front import Serving, serving
from tests.servers import a_free_port

ADDRESS = "192.0.2.7"
"""RFC 5737: nobody's."""
_SET_ADDRESS, _SET_FLAGS, _UP_AND_RUNNING = 0x8916, 0x8914, 0x41


def give(address: str) -> None:
    """Brings the loopback interface up and gives it one more address (netdevice(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        fcntl.ioctl(wire, _SET_FLAGS, struct.pack("16sH14x", b"lo", _UP_AND_RUNNING))
        family = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
        fcntl.ioctl(wire, _SET_ADDRESS, struct.pack("16s16s", b"lo:1", family))


async def ask(api: Serving, address: str) -> None:
    """Asks from that address: over plain HTTP reading is sent on to HTTPS and anything else refused; HTTPS is answered."""
    base = f"//127.0.0.1:{api.port}"
    transport = httpx.AsyncHTTPTransport(local_address=address)
    async with httpx.AsyncClient(transport=transport, timeout=30) as client:
        there = await client.get(f"http:{base}/docs?page=%2f")
        assert (there.status_code, there.headers["location"]) == (308, f"https:{base}/docs?page=%2f")
        answer = await client.post(f"http:{base}/api/login", json={"user": "meyer", "password": "secret"})
        assert (answer.status_code, answer.json()["code"]) == (426, "https-only")
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert (await client.get(f"http:{base}/docs", headers={"Host": "evil.example/path"})).status_code == 426
    secured = httpx.AsyncHTTPTransport(local_address=address, verify=False)
    async with httpx.AsyncClient(transport=secured, timeout=30) as client:
        assert (await client.get(f"https:{base}/health")).status_code == 200


async def ask_alone(home: Path) -> None:
    """The same of an appliance of its own, in a network namespace where the loopback has the address too."""
    give(ADDRESS)
    async with serving(home, a_free_port()) as api:
        await ask(api, ADDRESS)


if __name__ == "__main__":
    asyncio.run(ask_alone(Path(sys.argv[1])))
