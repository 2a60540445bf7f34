"""A report as HL7 v2 message over MLLP (HL7 v2.5.1 appendix C, Minimal Lower Layer Protocol), and its acknowledgement."""

import asyncio
import contextlib
from pathlib import Path

from appliance import asking, tls
from appliance.delivery.parcel import Outcome, Parcel, Result
from appliance.delivery.section import Hl7
from appliance.errors import Misconfigured
from appliance.probe import Probe

START, END = b"\x0b", b"\x1c\r"
MOST_BYTES = 65_536
"""Of an acknowledgement."""
_MEANINGS = {
    "AA": (Result.SENT, "accepted"),
    "CA": (Result.SENT, "accepted"),
    "AE": (Result.REFUSED, "error in the message"),
    "CE": (Result.REFUSED, "error in the message"),
    "AR": (Result.TRY_AGAIN, "rejected for now"),
    "CR": (Result.TRY_AGAIN, "rejected for now"),
}
"""Acknowledgement codes (HL7 v2.5.1 table 0008): AR is for reasons that have nothing to do with the message."""


def control_id(delivery: str) -> str:
    """The message control ID of a delivery, the same at each attempt; MSH-10 has room for 20 characters."""
    return delivery.replace("-", "")[-20:]


async def send(parcel: Parcel, section: Hl7) -> Outcome:
    """Sends the message and waits for its acknowledgement; the receiver's own words are never repeated."""
    file = parcel.files.get("hl7")
    if file is None:
        return Outcome(result=Result.REFUSED, answer=f"This {parcel.kind} has no HL7 message.")
    place = f"{section.host} port {section.port}"
    try:
        async with asyncio.timeout(section.timeout_s):
            answer = await _exchange(section, await asyncio.to_thread(Path(file).read_bytes))
    except Misconfigured as error:
        return Outcome(result=Result.REFUSED, answer=error.what)
    except (OSError, TimeoutError, EOFError) as fault:
        return Outcome(result=Result.TRY_AGAIN, answer=_words(fault, place, section.timeout_s))
    return outcome_of(answer, control_id(parcel.delivery))


def outcome_of(answer: bytes, sent_id: str) -> Outcome:
    """What an acknowledgement means; one for another message is none."""
    text = answer.decode("latin-1")
    field = text[3:4]
    msa = next((one.split(field) for one in text.split("\r") if field and one.startswith(f"MSA{field}")), [])
    if len(msa) < 3 or msa[1] not in _MEANINGS:
        return Outcome(result=Result.TRY_AGAIN, answer="The answer is no acknowledgement.")
    if msa[2] != sent_id:
        return Outcome(result=Result.TRY_AGAIN, answer="The acknowledgement is for another message.")
    result, words = _MEANINGS[msa[1]]
    return Outcome(result=result, answer=f"HL7 acknowledgement {msa[1]} ({words})")


async def probe(section: Hl7) -> Probe:
    """Connects, over TLS where it is set, and sends nothing: every message would be taken for a result."""
    place = f"{section.host} port {section.port}"
    try:
        async with asyncio.timeout(section.timeout_s):
            _, writer = await _connect(section)
            await _leave(writer)
    except Misconfigured as error:
        return Probe(ok=False, lines=[error.what, error.advice])
    except (OSError, TimeoutError) as fault:
        return Probe(ok=False, lines=[f"{_words(fault, place, section.timeout_s)}."])
    how = "over TLS" if section.tls else "without encryption"
    return Probe(ok=True, lines=[f"{place} accepted the connection {how}. No message was sent by this test."])


async def _exchange(section: Hl7, message: bytes) -> bytes:
    reader, writer = await _connect(section)
    try:
        writer.write(START + message + END)
        await writer.drain()
        answer = await reader.readuntil(END)
    except asyncio.LimitOverrunError:
        raise EOFError from None
    finally:
        await _leave(writer)
    return answer.removesuffix(END).lstrip(START)


async def _connect(section: Hl7) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = tls.context(section.authority, section.certificate, section.key) if section.tls else None
    return await asyncio.open_connection(section.host, section.port, ssl=context, limit=MOST_BYTES)


async def _leave(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _words(fault: BaseException, place: str, seconds: float) -> str:
    if isinstance(fault, EOFError):
        return f"{place} broke off before it acknowledged"
    return asking.words_for(fault, place, seconds)
