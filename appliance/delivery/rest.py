"""A report to an HTTP endpoint: POST or PUT of a JSON body with the file in base64."""

import base64
import ssl
import time
import uuid
from pathlib import Path

import httpx

from appliance import endpoint
from appliance.asking import SIGNATURE, signature
from appliance.delivery import web
from appliance.delivery.body import ALWAYS, IDENTITY, check, fill
from appliance.delivery.parcel import CONTENT_TYPES, Outcome, Parcel, Result
from appliance.delivery.section import Rest
from appliance.errors import Misconfigured
from appliance.fields import ReportFormat
from appliance.probe import Probe

_TEST = {
    "order": "00000000-0000-0000-0000-000000000000",
    "version": "0",
    "format": "txt",
    "filename": "test.txt",
    "content_type": "text/plain",
    "content": base64.b64encode(b"This is a test of the connection. It holds no report.\n").decode(),
}


async def send(parcel: Parcel, section: Rest) -> Outcome:
    """Sends one request for each format of the destination that the parcel holds; the first that fails ends it.

    A 2xx is SENT, and so is 409: the endpoint knows this idempotency key. 4xx is REFUSED, 408, 425 and 429 wait as long as
    Retry-After says, 5xx and network faults are tried again. Redirects are followed on the same host only.
    """
    if not section.url:
        return Outcome(result=Result.REFUSED, answer="This destination has no URL.")
    wanted = [one for one in section.formats if one in parcel.files]
    if not wanted:
        return Outcome(
            result=Result.REFUSED, answer=f"This {parcel.kind} has none of the formats {', '.join(section.formats)}."
        )
    try:
        async with endpoint.client(section) as client:
            outcome = Outcome(result=Result.SENT, answer="")
            for one in wanted:
                outcome = await _send_one(client, section, parcel, one)
                if outcome.result is not Result.SENT:
                    return Outcome(
                        result=outcome.result, answer=f"{one}: {outcome.answer}", retry_after_s=outcome.retry_after_s
                    )
            return outcome
    except Misconfigured as error:
        return Outcome(result=Result.REFUSED, answer=error.what)


async def probe(section: Rest) -> Probe:
    """Sends one marked test in place of a report, with the destination's own method, body, authentication and TLS.

    The test holds no report and nothing of a patient: its kind is `test`, its order all zeros, its content one sentence.
    """
    try:
        if not section.url:
            raise web.UrlMissing(field="url")
        numbers = check(section.body, identity=section.identity_in_values)
        values = dict.fromkeys((*ALWAYS, *IDENTITY, *numbers), "test") | _TEST
        content = fill(section.body, values, identity=section.identity_in_values)
        client = endpoint.client(section)
    except Misconfigured as error:
        return Probe(ok=False, lines=[error.what, error.advice])
    lines = ["The body is in order." + (f" Only some products have: {', '.join(sorted(numbers))}." if numbers else "")]
    headers = {"Idempotency-Key": f"test-{uuid.uuid4()}", "X-Ranvier-Test": "yes"} | _signed(section, content)
    async with client:
        try:
            url = httpx.URL(section.url)
            status = (await endpoint.answer(client, section, section.method, url, content=content, headers=headers)).status
        except (httpx.HTTPError, ssl.SSLError, TimeoutError) as fault:
            return Probe(ok=False, lines=[*lines, endpoint.fault_words(fault, section)])
        except Misconfigured as error:
            return Probe(ok=False, lines=[*lines, error.what, error.advice])
        except httpx.InvalidURL:
            return Probe(ok=False, lines=[*lines, "The URL is no address."])
    lines.append(f"{section.method} answered {endpoint.phrase(status)}.")
    if 200 <= status < 300:
        return Probe(ok=True, lines=[*lines, "A marked test was sent, and no report."])
    return Probe(ok=False, lines=[*lines, endpoint.verdict(status)])


async def _send_one(client: httpx.AsyncClient, section: Rest, parcel: Parcel, one: ReportFormat) -> Outcome:
    content = fill(section.body, _values(parcel, one), identity=section.identity_in_values)
    headers = {"Idempotency-Key": f"{parcel.idempotency_key}-{one}"} | _signed(section, content)
    try:
        told = await endpoint.answer(client, section, section.method, httpx.URL(section.url), content=content, headers=headers)
    except (httpx.HTTPError, ssl.SSLError, TimeoutError) as fault:
        return Outcome(result=Result.TRY_AGAIN, answer=endpoint.fault_words(fault, section))
    except httpx.InvalidURL:
        return Outcome(result=Result.REFUSED, answer="The URL, or the one that the endpoint redirects to, is no address.")
    return web.outcome_of(told.status, told.headers.get("Retry-After", ""))


def _signed(section: Rest, content: bytes) -> dict[str, str]:
    """The headers of a body, signed where the destination has a key, so that the endpoint knows who sent it."""
    headers = {"Content-Type": "application/json"}
    if section.signing_key:
        headers[SIGNATURE] = signature(section.signing_key.reveal(), content, int(time.time()))
    return headers


def _values(parcel: Parcel, one: str) -> dict[str, str]:
    file = parcel.files[one]
    return parcel.values | {
        "order": parcel.order,
        "report": parcel.report,
        "delivery": parcel.delivery,
        "kind": parcel.kind,
        "version": str(parcel.version),
        "format": one,
        "filename": Path(file).name,
        "content_type": CONTENT_TYPES.get(one, "application/octet-stream"),
        "content": base64.b64encode(Path(file).read_bytes()).decode(),
        "idempotency_key": f"{parcel.idempotency_key}-{one}",
    }
