"""HTTP endpoints of the settings: a client with their credentials and TLS, the guarded request, words for a status."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, NamedTuple

import httpx

from appliance import asking, tls
from appliance.errors import Misconfigured
from appliance.fields import Endpoint

SAME_HOST_HOPS = 3
MOST_BYTES = 1_000_000
"""Of an answer that is read at all."""


class NoResponse(Exception):
    """There was no answer, or it broke off; `why` is a sentence without its full stop."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


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
    client: httpx.AsyncClient, section: Endpoint, method: str, url: httpx.URL, *, read: bool = False, **sent: Any
) -> Told:
    """An endpoint's answer; its body is read only up to a limit, and a dripping one cannot hold us longer than the time-out.

    The request goes to an address that `outbound` let through; the host proves itself by its name. Redirects are followed on
    the same host only, at most three; one that names no place is given as it is. Raises `Misconfigured` for a URL that may
    not be used or that leads elsewhere.
    """
    for _ in range(SAME_HOST_HOPS + 1):
        async with (
            asyncio.timeout(2 * section.timeout_s),
            asking.exchange(client, method, url, allow_local=section.own_machine, **sent) as found,
        ):
            told = Told(found.status_code, found.headers, await _body(found) if read else b"")
        location = told.headers.get("Location", "")
        if told.status not in (307, 308) or not location:
            return told
        target = url.join(location)
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


def client(section: Endpoint) -> httpx.AsyncClient:
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


@asynccontextmanager
async def opened(section: Endpoint, path: str, params: dict[str, str], accept: str) -> AsyncIterator[httpx.Response]:
    """The answer to a GET below an endpoint's URL, not yet read; redirects are not followed.

    Raises `NoResponse`, also for what breaks off inside the block, and `Misconfigured` for a URL that may not be used.
    """
    try:
        url = httpx.URL(f"{section.url.rstrip('/')}/{path}").copy_merge_params(params)
        async with (
            client(section) as asker,
            asking.exchange(asker, "GET", url, allow_local=section.own_machine, headers={"Accept": accept}) as found,
        ):
            yield found
    except (httpx.HTTPError, ssl.SSLError, TimeoutError) as fault:
        raise NoResponse(fault_words(fault, section)) from None
    except httpx.InvalidURL:
        raise NoResponse("its URL is no address") from None


async def body_of(found: httpx.Response, most: int) -> bytes:
    """The whole body of an answer; raises `NoResponse` when it is longer than `most` bytes."""
    body = b""
    async for piece in found.aiter_bytes():
        body += piece
        if len(body) > most:
            raise NoResponse("its answer is longer than any that makes sense")
    return body


class RedirectsElsewhere(Misconfigured):
    """The endpoint redirects elsewhere; set the new address if it is right."""

    code = "redirects-elsewhere"
    next_step = "Set the address that the endpoint sends on to, if it is right."


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


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def fault_words(fault: httpx.HTTPError | OSError, section: Endpoint) -> str:
    """Why there was no answer."""
    return asking.words_for(fault, httpx.URL(section.url).host, section.timeout_s)
