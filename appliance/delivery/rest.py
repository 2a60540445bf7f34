"""A report to an HTTP endpoint: POST or PUT of a JSON body with the file in base64."""

import asyncio
import base64
import email.utils
import ssl
import time
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from appliance import outbound
from appliance.delivery.body import check, fill
from appliance.delivery.parcel import Outcome, Parcel, Probe, Result
from appliance.delivery.section import ReportFormat, Rest
from appliance.errors import Misconfigured

CONTENT_TYPES: dict[str, str] = {"json": "application/json", "txt": "text/plain", "png": "image/png", "pdf": "application/pdf"}
AGAIN = frozenset({408, 425, 429})
"""Client errors that pass (RFC 9110, RFC 8470, RFC 6585); every other 4xx is final."""
SAME_HOST_HOPS = 3


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
    """Checks body, host and credentials without sending a report: OPTIONS with the destination's authentication."""
    try:
        numbers = check(section.body, identity=section.identity_in_values)
        client = _client(section)
    except Misconfigured as error:
        return Probe(ok=False, lines=[error.what, error.advice])
    lines = ["The body is in order." + (f" Only some products have: {', '.join(sorted(numbers))}." if numbers else "")]
    async with client:
        try:
            status, _ = await _answer(client, section, "OPTIONS", httpx.URL(section.url))
        except (httpx.HTTPError, TimeoutError) as fault:
            return Probe(ok=False, lines=[*lines, _fault(fault, section)])
        except Misconfigured as error:
            return Probe(ok=False, lines=[*lines, error.what, error.advice])
        except httpx.InvalidURL:
            return Probe(ok=False, lines=[*lines, "The URL is no address."])
    lines.append(f"The host answered {_phrase(status)}.")
    if status in (401, 403):
        return Probe(ok=False, lines=[*lines, "It does not accept these credentials."])
    if status in (404, 410):
        return Probe(ok=False, lines=[*lines, "It knows no such address."])
    if status >= 500:
        return Probe(ok=False, lines=[*lines, "It has a fault of its own."])
    return Probe(ok=True, lines=[*lines, "No report was sent by this test."])


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
    async with asyncio.timeout(2 * section.timeout_s):
        try:
            pinned = await outbound.resolve(str(url), allow_local=section.own_machine)
        except OSError as fault:
            raise httpx.ConnectError("the name is unknown") from fault
        headers = {**sent.pop("headers", {}), "Host": url.netloc.decode("ascii")}
        for place, address in enumerate(pinned.addresses, start=1):
            there, proof = url.copy_with(host=address), {"sni_hostname": pinned.host}
            try:
                async with client.stream(method, there, headers=headers, extensions=proof, **sent) as answer:
                    return answer.status_code, answer.headers
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if place == len(pinned.addresses):
                    raise
    raise httpx.ConnectError("there is no address")


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
        verify=_trust(section),
        follow_redirects=False,
        trust_env=False,
    )


class TokenUnusable(Misconfigured):
    """The token has characters that no HTTP header can carry."""

    code = "token-unusable"
    next_step = "Enter the token again, without line breaks."


class AuthorityUnusable(Misconfigured):
    """The certificate authority of this destination is not a PEM certificate."""

    code = "authority-unusable"
    next_step = "Paste the whole certificate with its BEGIN and END lines."


def _trust(section: Rest) -> ssl.SSLContext:
    """The system's certificate authorities and the destination's own; verification is never off."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if section.authority:
        try:
            context.load_verify_locations(cadata=section.authority)
        except (ssl.SSLError, ValueError):
            raise AuthorityUnusable(field="authority") from None
    return context


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


_FAULTS: Iterable[tuple[type[Exception], str]] = (
    (httpx.ConnectTimeout, "{host} did not answer within {seconds} s"),
    (httpx.TimeoutException, "{host} took longer than {seconds} s"),
    (TimeoutError, "{host} took longer than {seconds} s"),
    (httpx.ConnectError, "no connection to {host}"),
    (httpx.RemoteProtocolError, "{host} broke off or did not speak HTTP"),
    (httpx.NetworkError, "the connection to {host} broke"),
)


def _fault(fault: httpx.HTTPError | TimeoutError, section: Rest) -> str:
    host = httpx.URL(section.url).host
    cause: BaseException | None = fault
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate of {host} is not trusted ({cause.verify_message})"
        cause = cause.__cause__ or cause.__context__
    for kind, words in _FAULTS:
        if isinstance(fault, kind):
            return words.format(host=host, seconds=section.timeout_s)
    return f"{host}: {type(fault).__name__}"
