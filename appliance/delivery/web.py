"""What STOW-RS and REST share: the client with its credentials and TLS, the guarded request, and what a status means."""

import asyncio
import email.utils
import time
from http import HTTPStatus
from typing import Any, NamedTuple

import httpx

from appliance import asking, tls
from appliance.delivery.parcel import Outcome, Result
from appliance.delivery.section import Web
from appliance.errors import Misconfigured

AGAIN = frozenset({408, 425, 429})
"""Client errors that pass (RFC 9110, RFC 8470, RFC 6585); every other 4xx is final."""
SAME_HOST_HOPS = 3
MOST_BYTES = 1_000_000
"""Of an answer that is read at all."""


class Told(NamedTuple):
    """What an endpoint answered; its body only where somebody asked for it."""

    status: int
    headers: httpx.Headers
    body: bytes = b""


def verdict(status: int) -> str:
    """What a test says about a status that is no success."""
    if status in (401, 403):
        return "It does not accept these credentials."
    if status in (404, 410):
        return "It knows no such address."
    if 300 <= status < 400:
        return "It sends on to another address; set that one."
    return "It has a fault of its own." if status >= 500 else "It does not take this request."


async def answer(
    client: httpx.AsyncClient, section: Web, method: str, url: httpx.URL, *, read: bool = False, **sent: Any
) -> Told:
    """An endpoint's answer; its body is read only up to a limit, and a dripping one cannot hold us longer than the time-out.

    The request goes to an address that `outbound` let through; the host proves itself by its name. Redirects are followed on
    the same host only, at most three. Raises `Misconfigured` for a URL that may not be used or that leads elsewhere.
    """
    for _ in range(SAME_HOST_HOPS + 1):
        async with (
            asyncio.timeout(2 * section.timeout_s),
            asking.exchange(client, method, url, allow_local=section.own_machine, **sent) as found,
        ):
            told = Told(found.status_code, found.headers, await _body(found) if read else b"")
        if told.status not in (307, 308):
            return told
        target = url.join(told.headers.get("Location", ""))
        if _origin(target) != _origin(url):
            break
        url = target
    raise RedirectsElsewhere(field="url")


async def _body(found: httpx.Response) -> bytes:
    body = b""
    async for piece in found.aiter_bytes():
        body += piece
        if len(body) > MOST_BYTES:
            break
    return body


def outcome_of(status: int, retry_after: str = "", now_s: float | None = None) -> Outcome:
    """What an HTTP status means for the delivery; the endpoint's own words are never repeated."""
    words = phrase(status)
    if 200 <= status < 300:
        return Outcome(result=Result.SENT, answer=words)
    if status == 409:
        return Outcome(result=Result.SENT, answer=f"{words}: it was there already")
    if status in AGAIN or status >= 500:
        return Outcome(result=Result.TRY_AGAIN, answer=words, retry_after_s=_seconds(retry_after, now_s))
    if 300 <= status < 400:
        return Outcome(result=Result.REFUSED, answer=f"{words}: the endpoint has moved; set its new address")
    return Outcome(result=Result.REFUSED, answer=words)


def client(section: Web) -> httpx.AsyncClient:
    """A client for one delivery; raises `TokenUnusable`, `AuthorityUnusable` or `BadCertificate`."""
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
        verify=tls.context(section.authority, section.certificate, section.key),
        follow_redirects=False,
        trust_env=False,
    )


class RedirectsElsewhere(Misconfigured):
    """The endpoint redirects elsewhere; set the new address if it is right."""

    code = "redirects-elsewhere"
    next_step = "Set the address that the endpoint sends on to, if it is right."


class UrlMissing(Misconfigured):
    """This destination has no URL."""

    code = "url-missing"
    next_step = "Enter the address that reports are sent to."


class TokenUnusable(Misconfigured):
    """The token has characters that no HTTP header can carry."""

    code = "token-unusable"
    next_step = "Enter the token again, without line breaks."


def phrase(status: int) -> str:
    """A status with the standard's own words."""
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


def fault_words(fault: httpx.HTTPError | OSError, section: Web) -> str:
    """Why there was no answer."""
    return asking.words_for(fault, httpx.URL(section.url).host, section.timeout_s)
