"""Files through the malware scanner (clamd INSTREAM, clamd(8)): clean, found, or not scanned, which is never clean.

clamd passes what is over its limits unless it was told otherwise, so a size is trusted only after a canary of that size, with
the standard's test virus at its end, did not come back clean.
"""

import asyncio
import socket
import struct
import tempfile
import zipfile
from pathlib import Path
from typing import IO, Literal

import msgspec

from appliance.errors import Retry
from appliance.scan.clamd import TEST_VIRUS, connected
from appliance.scan.section import ScanSection

_PIECE = 1 << 18
_LEAST = 1 << 20
_MOST = 4096
MOST_BYTES = 2 << 30
"""clamd never scans more."""

_proven: dict[tuple[str, str, int], int] = {}
"""Scanner -> the largest size for which it has proven itself, since this process began."""


class ScannerDown(Retry):
    """The malware scanner does not answer: {why}."""

    code = "scanner-down"
    next_step = "Start clamd, or correct Settings, Malware scanner; uploads wait until it answers."


class Verdict(msgspec.Struct, frozen=True):
    """What came of one file; `words` is the signature's name, or why it was not scanned."""

    kind: Literal["clean", "found", "not-scanned"]
    words: str = ""


async def look_through(section: ScanSection, files: list[Path]) -> Verdict:
    """All of these files one by one: the first that is found ends it, else the first that was not scanned.

    Raises `ScannerDown`.
    """
    largest = max((one.stat().st_size for one in files), default=0)
    proven = await asyncio.to_thread(_prove, section, largest)
    left = Verdict("clean")
    for one in files:
        verdict = await asyncio.to_thread(_look, section, one, proven)
        if verdict.kind == "found":
            return verdict
        if verdict.kind == "not-scanned" and left.kind == "clean":
            left = verdict
    return left


def _prove(section: ScanSection, largest: int) -> int:
    """Up to which size this scanner can be trusted, as far as it matters here."""
    place = (section.socket, section.host, section.port)
    wanted = _LEAST
    while wanted < min(largest, MOST_BYTES):
        wanted *= 2
    wanted = min(wanted, MOST_BYTES - 1)
    if _proven.get(place, 0) >= wanted:
        # It may have been replaced since: the smallest canary is cheap.
        wanted_now = _LEAST
        if not _finds(section, wanted_now):
            _proven.pop(place)
            raise ScannerDown(why="it let the test virus pass")
        return _proven[place]
    if not _finds(section, _LEAST):
        raise ScannerDown(why="it let the test virus pass")
    while wanted > _LEAST and not _finds(section, wanted):
        wanted //= 2
    _proven[place] = wanted
    return wanted


def _finds(section: ScanSection, size: int) -> bool:
    """Whether the test virus behind so many bytes does not come back clean."""
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            with archive.open("padding", "w") as padding:
                for _ in range(max(0, size - 1024) // _PIECE + 1):
                    padding.write(b"\0" * min(_PIECE, size))
            archive.writestr("canary.com", TEST_VIRUS)
        file.seek(0)
        return _ask(section, file).kind == "found"


def _look(section: ScanSection, path: Path, proven: int) -> Verdict:
    size = path.stat().st_size
    with path.open("rb") as file:
        verdict = _ask(section, file) if size <= MOST_BYTES else Verdict("not-scanned", "it is larger than 2 GiB")
    if verdict.kind == "clean" and size > proven:
        return Verdict("not-scanned", f"it is larger than the {proven >> 20} MiB up to which the scanner has proven itself")
    return verdict


def _ask(section: ScanSection, file: IO[bytes]) -> Verdict:
    try:
        connection = connected(section, float(section.timeout_s))
    except OSError as fault:
        raise ScannerDown(why=fault.strerror or type(fault).__name__) from None
    with connection:
        try:
            connection.sendall(b"zINSTREAM\0")
            while piece := file.read(_PIECE):
                connection.sendall(struct.pack("!L", len(piece)) + piece)
            connection.sendall(struct.pack("!L", 0))
        except TimeoutError:
            return Verdict("not-scanned", "the scanner took too long")
        except OSError:
            # clamd closes on what is too large for it, and may have said so before.
            return _said(connection)
        return _said(connection)


def _said(connection: socket.socket) -> Verdict:
    answer = b""
    try:
        while not answer.endswith((b"\0", b"\n")) and len(answer) < _MOST:
            piece = connection.recv(_MOST)
            if not piece:
                break
            answer += piece
    except TimeoutError:
        return Verdict("not-scanned", "the scanner took too long")
    except OSError:
        return Verdict("not-scanned", "the scanner closed the connection")
    words = "".join(one for one in answer.decode("ascii", "replace") if one.isprintable())
    if words == "stream: OK":
        return Verdict("clean")
    if words.startswith("stream: ") and words.endswith(" FOUND"):
        return Verdict("found", words.removeprefix("stream: ").removesuffix(" FOUND")[:80])
    return Verdict("not-scanned", words[:80] or "the scanner closed the connection")
