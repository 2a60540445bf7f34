"""An HTTP server that answers everything wrong once: each answer is judged as the manual says, then the report arrives once."""

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from appliance.delivery import destinations
from appliance.delivery.parcel import Outcome, Parcel, Result
from appliance.delivery.section import Rest, StowRs
from tests.servers import HOST
from tests.unit.delivery.parcels import PHI, a_parcel
from tests.unit.delivery.test_dicom_pdf import a_dicom_parcel

SENT, AGAIN, REFUSED = Result.SENT, Result.TRY_AGAIN, Result.REFUSED
WARNED = Result.SENT_WITH_WARNING


class Wrong(NamedTuple):
    """One wrong answer, what it means for REST, and for STOW-RS where that differs."""

    sends: bytes
    rest: Result
    stow: Result | None = None
    kept: bool = False
    """Whether the server has the report all the same: then it says so the second time."""
    how: str = ""
    """`reset` with the answer unread, `half` before the request is read, `drip` a byte at a time, `silent` for ever."""
    least_wait: float = 0.0

    def meant(self, protocol: str) -> Result:
        return self.stow if protocol == "stow" and self.stow is not None else self.rest


def said(status: int, *headers: str, body: bytes = b"") -> bytes:
    head = [f"HTTP/1.1 {status} of {PHI}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


PASSING = (408, 425, 429)
STATUSES = {
    **{f"{one}": Wrong(said(one), REFUSED) for one in (300, 301, 302, 303, 304, 305, 307, 308)},
    **{
        f"{one.value}": Wrong(said(one.value), AGAIN if one in PASSING or one >= 500 else REFUSED)
        for one in HTTPStatus
        if one >= 400 and one != 409
    },
    "409": Wrong(said(409), SENT, REFUSED),
    "599, which nobody knows": Wrong(said(599), AGAIN),
    "499, which nobody knows": Wrong(said(499), REFUSED),
    "402 with HTML": Wrong(said(402, "Content-Type: text/html", body=b"<h1>pay</h1>"), REFUSED),
    "103 and then 503": Wrong(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + said(503), AGAIN),
}
BODIES = {
    "429 with seconds": Wrong(said(429, "Retry-After: 120"), AGAIN, least_wait=120),
    "503 with a date": Wrong(said(503, "Retry-After: Fri, 31 Dec 2100 23:59:59 GMT"), AGAIN, least_wait=1e6),
    "429 with nonsense": Wrong(said(429, "Retry-After: soon"), AGAIN),
    "redirect to another host": Wrong(said(307, "Location: http://198.51.100.7/take"), REFUSED),
    "redirect to another port": Wrong(said(308, f"Location: http://{HOST}:1/take"), REFUSED),
    "redirect to a file": Wrong(said(307, "Location: file:///etc/passwd"), REFUSED),
    "redirect to no address": Wrong(said(307, "Location: http://[::bad"), AGAIN),
    "garbage": Wrong(b"\x00\xff\x16\x03 no such thing\r\n\r\n", AGAIN, kept=True),
    "another protocol": Wrong(b"220 mail.test ESMTP\r\n", AGAIN),
    "no answer": Wrong(b"", AGAIN, kept=True),
    "half a status line": Wrong(b"HTTP/1.1 20", AGAIN, kept=True),
    "headers without an end": Wrong(b"HTTP/1.1 200 OK\r\nA: b\r\n", AGAIN, kept=True),
    "headers beyond any sense": Wrong(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 40_000 + b"\r\n", AGAIN, kept=True),
    "a length that is no number": Wrong(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", AGAIN, kept=True),
    "two lengths": Wrong(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", AGAIN, kept=True),
    "a cut body": Wrong(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{", SENT, AGAIN, kept=True),
    "a body longer than told": Wrong(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}{}{}", SENT),
    "a broken chunk": Wrong(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", SENT, AGAIN, kept=True),
    "a body that is not compressed": Wrong(said(200, "Content-Encoding: gzip", body=b"not gzip"), SENT, AGAIN, kept=True),
    "a body that is no JSON": Wrong(said(200, body=b"thank you"), SENT),
    "slow headers": Wrong(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100, AGAIN, kept=True, how="drip"),
    "silence": Wrong(b"", AGAIN, kept=True, how="silent"),
    "a reset while it reads": Wrong(b"", AGAIN, how="half"),
    "a reset before it answers": Wrong(b"", AGAIN, kept=True, how="reset"),
}
TABLE = STATUSES | BODIES


@dataclass
class Server:
    """Answers each path wrong once; after that it takes a report once and says what its protocol has for a second."""

    port: int = 0
    asked: dict[str, int] = field(default_factory=dict)
    kept: dict[str, list[bytes]] = field(default_factory=dict)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            _, protocol, number, *_ = head.split(" ")[1].split("/")
            place = f"{protocol}/{number}"
            wrong = list(TABLE.values())[int(number)]
            self.asked[place] = self.asked.get(place, 0) + 1
            if self.asked[place] == 1 and wrong.how == "half":
                _reset(writer)
                return
            length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
            body = await reader.readexactly(length)
            if self.asked[place] > 1:
                writer.write(self._rightly(place, protocol, body))
            else:
                if wrong.kept or wrong.meant(protocol) is SENT:
                    self.kept.setdefault(place, []).append(body)
                await self._wrongly(wrong, writer)
        writer.close()

    def _rightly(self, place: str, protocol: str, body: bytes) -> bytes:
        there = place in self.kept
        if not there:
            self.kept[place] = [body]
        if not there or protocol == "rest":
            return said(409 if there else 201)
        reason = {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0x0111]}}]}}
        return said(409, "Content-Type: application/dicom+json", body=json.dumps(reason).encode())

    async def _wrongly(self, wrong: Wrong, writer: asyncio.StreamWriter) -> None:
        if wrong.how == "reset":
            _reset(writer)
        elif wrong.how == "silent":
            await self.over.wait()
        elif wrong.how == "drip":
            for one in wrong.sends:
                writer.write(bytes([one]))
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.over.wait(), 0.1)
        else:
            writer.write(wrong.sends)
            await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """RST in place of FIN (SO_LINGER of zero seconds)."""
    import socket

    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.asynccontextmanager
async def a_server() -> AsyncIterator[Server]:
    found = Server()
    server = await asyncio.start_server(found.serve, HOST, 0, limit=2**22)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        found.over.set()
        server.close()


async def judged(parcel: Parcel, section: Any, wrong: Wrong) -> tuple[Outcome, Outcome]:
    """What the wrong answer means, and how the same report ends when it is sent again.

    Only where slowness is the fault is little time given, so that a busy machine is not taken for one.
    """
    hurried = msgspec.structs.replace(section, timeout_s=1) if wrong.how in ("drip", "silent") else section
    first = await destinations.send(parcel, hurried)
    if first.result in (SENT, WARNED):
        return first, first
    return first, await destinations.send(parcel, section)


@pytest.mark.parametrize("protocol", ["rest", "stow"])
async def test_every_wrong_answer_is_judged_rightly_and_the_report_arrives_once(protocol: str, tmp_path: Path) -> None:
    """RES-02, RES-04, faults rows 20 and 21: statuses, redirects, garbage, cuts, resets, slowness; nothing is repeated."""
    parcel = a_parcel(tmp_path) if protocol == "rest" else a_dicom_parcel(tmp_path)
    kind: Any = Rest if protocol == "rest" else StowRs
    async with a_server() as server:
        sections = [
            kind(name="HIS", url=f"http://{HOST}:{server.port}/{protocol}/{number}/studies", own_machine=True, timeout_s=60)
            for number in range(len(TABLE))
        ]
        limit = asyncio.Semaphore(8)

        async def one(section: Any, wrong: Wrong) -> tuple[Outcome, Outcome]:
            async with limit:
                return await judged(parcel, section, wrong)

        outcomes = dict(zip(TABLE, await asyncio.gather(*map(one, sections, TABLE.values())), strict=True))
    assert {name: first.result for name, (first, _) in outcomes.items()} == {
        name: wrong.meant(protocol) for name, wrong in TABLE.items()
    }
    assert {name: again.result for name, (_, again) in outcomes.items() if again.result not in (SENT, WARNED)} == {}
    assert {place: len(kept) for place, kept in server.kept.items()} == {f"{protocol}/{one}": 1 for one in range(len(TABLE))}
    for name, (first, again) in outcomes.items():
        assert PHI not in first.answer + again.answer
        assert not name.isdigit() or f"HTTP {name}" in first.answer
        assert (first.retry_after_s or 0) >= TABLE[name].least_wait, name
