"""Messages to the site's syslog server: RFC 5424 over UDP (RFC 5426), TCP (RFC 6587, counted octets) and TLS (RFC 5425)."""

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Mapping, Sequence

from appliance.moments import iso

LOG_AUDIT, SECURITY = 13, 10
INFORMATIONAL, NOTICE = 6, 5
PRIVATE_ENTERPRISE = "32473"
"""The number that RFC 5612 keeps for documentation: structured data of no registered maker."""
WAIT_S = 10.0
_UTF8 = b"\xef\xbb\xbf"


class Unconfirmed(OSError):
    """The other side broke the connection off before it had read everything."""


def line(now: int, kind: str, facts: Mapping[str, str | int], text: str) -> bytes:
    """One message of the facility "log audit" with our facts as structured data (RFC 5424, section 6)."""
    return message(now, kind, {f"{kind}@{PRIVATE_ENTERPRISE}": facts}, text, LOG_AUDIT * 8 + INFORMATIONAL)


def message(now: int, kind: str, data: Mapping[str, Mapping[str, str | int]], text: str, priority: int) -> bytes:
    """One message with structured data (RFC 5424, section 6); `text` is sent as UTF-8."""
    host = "".join(one for one in socket.gethostname() if "!" <= one <= "~")[:255] or "-"
    facts = "".join(f"[{' '.join([name, *_pairs(values)])}]" for name, values in data.items())
    head = f"<{priority}>1 {iso(now)} {host} ranvier {os.getpid()} {kind} {facts or '-'} "
    return head.encode("ascii", "replace") + _UTF8 + text.encode()


def _pairs(values: Mapping[str, str | int]) -> list[str]:
    return [f'{key}="{_escaped(str(value))}"' for key, value in values.items()]


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


async def send(message: bytes, transport: str, host: str, port: int, context: ssl.SSLContext | None = None) -> None:
    """Sends one message; raises `OSError`, `TimeoutError`. Over UDP nothing tells whether somebody listens."""
    if transport in ("tcp", "tls"):
        await asyncio.to_thread(deliver, [message], host, port, context)
        return
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(WAIT_S):
        sender, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(host, port))
        sender.sendto(message)
        sender.close()


def deliver(messages: Sequence[bytes], host: str, port: int, context: ssl.SSLContext | None) -> None:
    """Sends messages over one connection, with TLS when a context is given, and returns when the other side has read them all.

    Syslog answers nothing: what tells is that the other side closes in order after we did. A connection that it broke off
    raises `Unconfirmed`; then all of them are to be sent again. Raises `OSError`, `TimeoutError` (of each step, after 10 s).
    """
    with socket.create_connection((host, port), timeout=WAIT_S) as plain:
        wire = context.wrap_socket(plain, server_hostname=host) if context else plain
        with wire:
            for one in messages:
                wire.sendall(b"%d %s" % (len(one), one))
            _farewell(wire)


def _farewell(wire: socket.socket) -> None:
    """Closes our direction and waits until the other side closes its own; raises `Unconfirmed`, `OSError`."""
    try:
        if isinstance(wire, ssl.SSLSocket):
            wire.unwrap().close()
            return
        wire.shutdown(socket.SHUT_WR)
        while wire.recv(4096):
            pass
    except ssl.SSLEOFError:
        return
    except ConnectionError as broken:
        raise Unconfirmed(errno.ECONNRESET, "not all was read") from broken
    except OSError as fault:
        # Python's word for an end of the stream without TLS' own (bpo-10808): whoever had not read all would have reset it.
        if fault.errno not in (0, None) or isinstance(fault, TimeoutError | ssl.SSLError):
            raise
