"""A report to a DICOMweb server: STOW-RS, Store Instances (PS3.18 section 10.5)."""

import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec

from appliance import endpoint
from appliance.delivery import web
from appliance.delivery.dicom_status import outcome_of
from appliance.delivery.parcel import Outcome, Parcel, Result
from appliance.delivery.section import StowRs, StowStudy
from appliance.errors import Misconfigured
from appliance.fields import Endpoint
from appliance.probe import Probe

_FAILED, _FAILURE = "00081198", "00081197"
_STORED, _WARNING = "00081199", "00081196"
_GRAVITY = {Result.SENT: 0, Result.SENT_WITH_WARNING: 1, Result.TRY_AGAIN: 2, Result.REFUSED: 3}
_JSON = "application/dicom+json"


async def send(parcel: Parcel, section: StowRs) -> Outcome:
    """Stores the parcel's Part 10 file.

    The server's answer names each instance that failed or was changed, with a status as C-STORE has it; that counts, whatever
    the HTTP status. An instance that was there already (0111) is delivered with a warning. 429 waits as long as Retry-After
    says; 5xx and network faults are tried again.
    """
    file = parcel.files.get(section.objects)
    if file is None:
        return Outcome(result=Result.REFUSED, answer=f"This {parcel.kind} has no DICOM object.")
    if not section.url:
        return Outcome(result=Result.REFUSED, answer="This destination has no URL.")
    try:
        async with endpoint.client(section) as client:
            return await store(client, section, [Path(file)], f"ranvier-{parcel.sop_instance_uid}")
    except Misconfigured as error:
        return Outcome(result=Result.REFUSED, answer=error.what)
    except (httpx.HTTPError, ssl.SSLError, TimeoutError) as fault:
        return Outcome(result=Result.TRY_AGAIN, answer=endpoint.fault_words(fault, section))
    except httpx.InvalidURL:
        return Outcome(result=Result.REFUSED, answer="The URL is no address.")


async def store(client: httpx.AsyncClient, section: Endpoint, files: Sequence[Path], boundary: str) -> Outcome:
    """One request that stores Part 10 files; raises what the client raises."""
    told = await endpoint.answer(
        client,
        section,
        "POST",
        _address(section),
        read=True,
        content=await asyncio.to_thread(_body, files, boundary),
        headers=_headers(boundary),
    )
    return _outcome(told)


async def probe(section: StowRs | StowStudy) -> Probe:
    """Asks the server for nothing but its options, with the destination's own authentication and TLS; stores nothing."""
    if not section.url:
        return Probe(ok=False, lines=["This destination has no URL."])
    try:
        async with endpoint.client(section) as client:
            # A search that can find nothing: every DICOMweb server of use answers it, and it changes nothing.
            address = _address(section).copy_merge_params({"StudyInstanceUID": "2.25.0", "limit": "1"})
            told = await endpoint.answer(client, section, "GET", address, headers={"Accept": _JSON})
    except Misconfigured as error:
        return Probe(ok=False, lines=[error.what, error.advice])
    except (httpx.HTTPError, ssl.SSLError, TimeoutError) as fault:
        return Probe(ok=False, lines=[f"{endpoint.fault_words(fault, section)}."])
    except httpx.InvalidURL:
        return Probe(ok=False, lines=["The URL is no address."])
    lines = [f"A search for a study that does not exist answered {endpoint.phrase(told.status)}."]
    if told.status in (200, 204):
        return Probe(ok=True, lines=[*lines, "It speaks DICOMweb. Nothing was stored by this test."])
    return Probe(ok=False, lines=[*lines, endpoint.verdict(told.status)])


def _address(section: Endpoint) -> httpx.URL:
    """Of all studies, whether the setting names the service or its `/studies`."""
    url = section.url.rstrip("/")
    return httpx.URL(url if url.endswith("/studies") else f"{url}/studies")


def _headers(boundary: str) -> dict[str, str]:
    kind = f'multipart/related; type="application/dicom"; boundary="{boundary}"'
    return {"Content-Type": kind, "Accept": _JSON}


def _body(files: Sequence[Path], boundary: str) -> bytes:
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    parts = [piece for file in files for piece in (head, file.read_bytes(), b"\r\n")]
    return b"".join([*parts, f"--{boundary}--\r\n".encode()])


def _outcome(told: endpoint.Told) -> Outcome:
    failed, warned = _reasons(told.body, _FAILED, _FAILURE), _reasons(told.body, _STORED, _WARNING)
    words = endpoint.phrase(told.status)
    if failed:
        found = max((outcome_of(one or 0x0110, "STOW-RS") for one in failed), key=lambda one: _GRAVITY[one.result])
        return Outcome(result=found.result, answer=f"{words}: {found.answer}")
    warnings = [one for one in warned if one]
    if warnings:
        return Outcome(result=Result.SENT_WITH_WARNING, answer=f"{words}: {outcome_of(warnings[0], 'STOW-RS').answer}")
    if told.status == 409:
        # All failed (PS3.18 table 10.5.3-1), and the server does not say why.
        return Outcome(result=Result.REFUSED, answer=words)
    return web.outcome_of(told.status, told.headers.get("Retry-After", ""))


def _reasons(body: bytes, sequence: str, reason: str) -> list[int]:
    """The reason of each item of a sequence in a DICOM JSON answer; 0 for one without."""
    try:
        found: Any = msgspec.json.decode(body)
        items = list(found[sequence]["Value"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return []
    return [_number(one, reason) for one in items]


def _number(item: Any, reason: str) -> int:
    try:
        return int(item[reason]["Value"][0])
    except (KeyError, IndexError, TypeError, ValueError):
        return 0
