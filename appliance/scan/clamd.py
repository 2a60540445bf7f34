"""The test of clamd: its version, a harmless text that must pass, and the standard's test virus that must be found."""

import asyncio
import socket
import struct

from appliance.probe import TEST_S, Probe
from appliance.scan.section import ScanSection

TEST_VIRUS = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
"""The EICAR test file: harmless, and known to every scanner. In two halves, so that no scanner takes this file for it."""
HARMLESS = b"A text in which there is nothing to find.\n"
_MOST = 4096


async def probe(section: ScanSection) -> Probe:
    """Tests the scanner that a section names."""
    return await asyncio.to_thread(_probe, section)


def _probe(section: ScanSection) -> Probe:
    place = section.socket or f"{section.host} port {section.port}"
    seconds = min(section.timeout_s, TEST_S)
    lines: list[str] = []
    try:
        version = _ask(section, seconds, b"zVERSION\0")
        if not version.startswith("ClamAV"):
            return Probe(ok=False, lines=[f"{place} answers, but is no clamd."])
        lines.append(f"{place} is {version[:80]}.")
        harmless, virus = (_ask(section, seconds, b"zINSTREAM\0", one) for one in (HARMLESS, TEST_VIRUS))
    except TimeoutError:
        return Probe(ok=False, lines=[*lines, f"{place} did not answer within {seconds} s."])
    except FileNotFoundError:
        return Probe(ok=False, lines=[f"There is no socket {place}."])
    except PermissionError:
        return Probe(ok=False, lines=[f"This appliance may not use the socket {place}; its user must be in clamd's group."])
    except ConnectionRefusedError:
        return Probe(ok=False, lines=[f"{place} refused the connection: nothing listens there."])
    except socket.gaierror:
        return Probe(ok=False, lines=[f"The name {section.host} is not known to the network."])
    except OSError as fault:
        return Probe(ok=False, lines=[*lines, f"The connection to {place} broke: {fault.strerror or 'no reason given'}."])
    passed, found = harmless == "stream: OK", virus.endswith(" FOUND")
    lines.append("A harmless text passed." if passed else f"A harmless text did not pass: {harmless[:80]}.")
    if not found:
        lines.append("The test virus (EICAR) was NOT found: this scanner has no signatures, or its limits let everything pass.")
    else:
        lines.append(f"The test virus (EICAR) was found as {virus.removeprefix('stream: ').removesuffix(' FOUND')[:80]}.")
    return Probe(ok=passed and found, lines=lines)


def _ask(section: ScanSection, seconds: float, command: bytes, content: bytes | None = None) -> str:
    """One command over a connection of its own, as clamd(8) has it; a stream goes in chunks with their length before them."""
    with connected(section, seconds) as connection:
        connection.sendall(command)
        if content is not None:
            connection.sendall(struct.pack("!L", len(content)) + content + struct.pack("!L", 0))
        answer = b""
        while not answer.endswith((b"\0", b"\n")) and len(answer) < _MOST:
            piece = connection.recv(_MOST)
            if not piece:
                break
            answer += piece
    return "".join(one for one in answer.decode("ascii", "replace") if one.isprintable())


def connected(section: ScanSection, seconds: float) -> socket.socket:
    """A connection to the scanner that a section names; raises `OSError`."""
    if not section.socket:
        return socket.create_connection((section.host, section.port), timeout=seconds)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(seconds)
    try:
        connection.connect(section.socket)
    except OSError:
        connection.close()
        raise
    return connection
