"""One line to the site's syslog server: RFC 5424, over UDP (RFC 5426) or TCP with counted octets (RFC 6587, 3.4.1)."""

import asyncio
import os
import socket
from collections.abc import Mapping

from appliance.moments import iso

LOG_AUDIT, INFORMATIONAL = 13, 6
PRIVATE_ENTERPRISE = "32473"
"""The number that RFC 5612 keeps for documentation: structured data of no registered maker."""
WAIT_S = 10.0
_UTF8 = b"\xef\xbb\xbf"


def line(now: int, kind: str, facts: Mapping[str, str | int], text: str) -> bytes:
    """One message of the facility "log audit" with our facts as structured data (RFC 5424, section 6)."""
    host = "".join(one for one in socket.gethostname() if "!" <= one <= "~")[:255] or "-"
    data = " ".join(f'{name}="{_escaped(str(value))}"' for name, value in facts.items())
    head = f"<{LOG_AUDIT * 8 + INFORMATIONAL}>1 {iso(now)} {host} ranvier {os.getpid()} {kind}"
    return f"{head} [{kind}@{PRIVATE_ENTERPRISE} {data}] ".encode("ascii", "replace") + _UTF8 + text.encode()


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


async def send(message: bytes, transport: str, host: str, port: int) -> None:
    """Sends one message; raises `OSError`, `TimeoutError`. Nothing is answered: only TCP tells whether somebody listens."""
    if transport == "tcp":
        async with asyncio.timeout(WAIT_S):
            _, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(b"%d %s" % (len(message), message))
                await writer.drain()
            finally:
                writer.close()
                await writer.wait_closed()
        return
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(WAIT_S):
        sender, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(host, port))
        sender.sendto(message)
        sender.close()
