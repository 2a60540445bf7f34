"""A report to an HTTP endpoint: POST or PUT of a JSON body with the file in base64."""

import asyncio
import base64
import email.utils
import time
import uuid
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from appliance import asking
from appliance.delivery.body import ALWAYS, IDENTITY, check, fill
from appliance.delivery.parcel import Outcome, Parcel, Result
from appliance.delivery.section import ReportFormat, Rest
from appliance.errors import Misconfigured
from appliance.probe import Probe

CONTENT_TYPES: dict[str, str] = {"json": "application/json", "txt": "text/plain", "png": "image/png", "pdf": "application/pdf"}
AGAIN = frozenset({408, 425, 429})
"""Client errors that pass (RFC 9110, RFC 8470, RFC 6585); every other 4xx is final."""
SAME_HOST_HOPS = 3
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
        async with _client(section) as client:
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
            raise UrlMissing(field="url")
        numbers = check(section.body, identity=section.identity_in_values)
        values = dict.fromkeys((*ALWAYS, *IDENTITY, *numbers), "test") | _TEST
        content = fill(section.body, values, identity=section.identity_in_values)
        client = _client(section)
    except Misconfigured as error:
        return Probe(ok=False, lines=[error.what, error.advice])
    lines = ["The body is in order." + (f" Only some products have: {', '.join(sorted(numbers))}." if numbers else "")]
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"test-{uuid.uuid4()}", "X-Ranvier-Test": "yes"}
    async with client:
        try:
            url = httpx.URL(section.url)
            status, _ = await _answer(client, section, section.method, url, content=content, headers=headers)
        except (httpx.HTTPError, TimeoutError) as fault:
            return Probe(ok=False, lines=[*lines, _fault(fault, section)])
        except Misconfigured as error:
            return Probe(ok=False, lines=[*lines, error.what, error.advice])
        except httpx.InvalidURL:
            return Probe(ok=False, lines=[*lines, "The URL is no address."])
    lines.append(f"{section.method} answered {_phrase(status)}.")
    if 200 <= status < 300:
        return Probe(ok=True, lines=[*lines, "A marked test was sent, and no report."])
    return Probe(ok=False, lines=[*lines, _verdict(status)])


def _verdict(status: int) -> str:
    if status in (401, 403):
        return "It does not accept these credentials."
    if status in (404, 410):
        return "It knows no such address."
    if 300 <= status < 400:
        return "It sends on to another address; set that one."
    return "It has a fault of its own." if status >= 500 else "It does not take this request."


async def _send_one(client: httpx.AsyncClient, section: Rest, parcel: Parcel, one: ReportFormat) -> Outcome:
    content = fill(section.body, _values(parcel, one), identity=section.identity_in_values)
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"{parcel.idempotency_key}-{one}"}
    try:
        url = httpx.URL(section.url)
        for _ in range(SAME_HOST_HOPS + 1):
            status, told = await _answer(client, section, section.method, url, content=content, headers=headers)
            if status not in (307, 308):
                return outcome_of(status, told.get("Retry-After", ""))
            target = url.join(told.get("Location", ""))
            if _origin(target) != _origin(url):
                break
            url = target
    except (httpx.HTTPError, TimeoutError) as fault:
        return Outcome(result=Result.TRY_AGAIN, answer=_fault(fault, section))
    except httpx.InvalidURL:
        return Outcome(result=Result.REFUSED, answer="The URL, or the one that the endpoint redirects to, is no address.")
    return Outcome(result=Result.REFUSED, answer="The endpoint redirects elsewhere; set the new address if it is right.")


async def _answer(
    client: httpx.AsyncClient, section: Rest, method: str, url: httpx.URL, **sent: Any
) -> tuple[int, httpx.Headers]:
    """Status and headers of an answer; its body is not read, and a dripping one cannot hold us longer than the time-out.

    The request goes to an address that `outbound` let through; the host proves itself by its name. Raises `Misconfigured`
    for a URL that may not be used.
    """
    async with (
        asyncio.timeout(2 * section.timeout_s),
        asking.exchange(client, method, url, allow_local=section.own_machine, **sent) as answer,
    ):
        return answer.status_code, answer.headers


def outcome_of(status: int, retry_after: str = "", now_s: float | None = None) -> Outcome:
    """What an HTTP status means for the delivery; the endpoint's own words are never repeated."""
    words = _phrase(status)
    if 200 <= status < 300:
        return Outcome(result=Result.SENT, answer=words)
    if status == 409:
        return Outcome(result=Result.SENT, answer=f"{words}: it was there already")
    if status in AGAIN or status >= 500:
        return Outcome(result=Result.TRY_AGAIN, answer=words, retry_after_s=_seconds(retry_after, now_s))
    if 300 <= status < 400:
        return Outcome(result=Result.REFUSED, answer=f"{words}: the endpoint has moved; set its new address")
    return Outcome(result=Result.REFUSED, answer=words)


def _client(section: Rest) -> httpx.AsyncClient:
    secret = section.secret.reveal()
    auth = httpx.BasicAuth(section.user, secret) if section.authentication == "basic" else None
    headers = {"User-Agent": "ranvier"}
    if section.authentication == "token":
        if not secret.isascii() or not secret.isprintable():
            raise TokenUnusable(field="secret")
        headers["Authorization"] = f"Bearer {secret}"
    # Neither proxies nor credentials of the environment: a report goes where the setting says and nowhere else.
    return httpx.AsyncClient(
        auth=auth,
        headers=headers,
        timeout=section.timeout_s,
        verify=asking.trust(section.authority),
        follow_redirects=False,
        trust_env=False,
    )


class UrlMissing(Misconfigured):
    """This destination has no URL."""

    code = "url-missing"
    next_step = "Enter the address that reports are sent to."


class TokenUnusable(Misconfigured):
    """The token has characters that no HTTP header can carry."""

    code = "token-unusable"
    next_step = "Enter the token again, without line breaks."


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


def _phrase(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def _seconds(retry_after: str, now_s: float | None) -> float | None:
    """Retry-After as seconds: a number or a date (RFC 9110 section 10.2.3); None when it is neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, moment - (time.time() if now_s is None else now_s))


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _fault(fault: httpx.HTTPError | TimeoutError, section: Rest) -> str:
    return asking.words_for(fault, httpx.URL(section.url).host, section.timeout_s)
