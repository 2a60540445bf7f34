"""One HTTP request to where a setting leads, and the words for every way it can fail.

The address is resolved and judged by `outbound` and the connection goes there and nowhere else; the host proves itself by its
name. No redirect is followed here, no proxy and no credential of the environment is used, and verification is never off.
"""

import asyncio
import contextlib
import hashlib
import hmac
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from appliance import outbound
from appliance.errors import Misconfigured

if TYPE_CHECKING:
    import httpx

MOST_BYTES = 2_000_000
"""Of an answer that is read at all."""


class AuthorityUnusable(Misconfigured):
    """This certificate authority is not a PEM certificate."""

    code = "authority-unusable"
    next_step = "Paste the whole certificate with its BEGIN and END lines."


class NoAnswer(Misconfigured):
    """There was no answer: {why}."""

    code = "no-answer"
    next_step = "Correct the address, or see to the other side, and test again."


SIGNATURE = "Ranvier-Signature"
"""`t=SECONDS,v1=HEX`: HMAC-SHA-256 under the signing key of the seconds, a full stop and the body as sent."""


class Answer(NamedTuple):
    """Status, body and head of an answer; names in the head are small letters."""

    status: int
    body: bytes
    headers: Mapping[str, str]


def signature(key: str, content: bytes, at_s: int) -> str:
    """The value of the signature header, by which the other side knows who sent a body, and when."""
    digest = hmac.new(key.encode(), f"{at_s}.".encode() + content, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


def trust(authority: str) -> ssl.SSLContext:
    """The system's certificate authorities and one more as PEM; TLS 1.2 or newer. Raises `AuthorityUnusable`."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if authority:
        try:
            context.load_verify_locations(cadata=authority)
        except (ssl.SSLError, ValueError):
            raise AuthorityUnusable(field="authority") from None
    return context


async def ask(
    method: str,
    url: str,
    *,
    allow_local: bool,
    authority: str,
    timeout_s: float,
    field: str,
    most: int = MOST_BYTES,
    **sent: Any,
) -> Answer:
    """Asks once, for an answer of `most` bytes at most.

    Raises `NoAnswer` with the reason, and what `outbound.resolve` raises for a URL that may not be used.
    """
    import httpx

    try:
        async with (
            asyncio.timeout(timeout_s),
            httpx.AsyncClient(timeout=timeout_s, verify=trust(authority), follow_redirects=False, trust_env=False) as client,
            exchange(client, method, httpx.URL(url), allow_local=allow_local, field=field, **sent) as answer,
        ):
            body = b""
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > most:
                    raise NoAnswer(field=field, why="it is longer than any that makes sense")
            return Answer(answer.status_code, body, {name.lower(): value for name, value in answer.headers.items()})
    except (httpx.HTTPError, TimeoutError) as fault:
        raise NoAnswer(field=field, why=words_for(fault, httpx.URL(url).host, timeout_s)) from None
    except httpx.InvalidURL:
        raise outbound.UrlRefused(field=field, why="it is no address") from None


@contextlib.asynccontextmanager
async def exchange(
    client: "httpx.AsyncClient", method: str, url: "httpx.URL", *, allow_local: bool, field: str = "url", **sent: Any
) -> "AsyncIterator[httpx.Response]":
    """The answer to a request that goes to an address which `outbound` let through; its body is not yet read."""
    import httpx

    try:
        pinned = await outbound.resolve(str(url), allow_local=allow_local, field=field)
    except OSError as fault:
        raise httpx.ConnectError("the name is unknown") from fault
    headers = {**sent.pop("headers", {}), "Host": url.netloc.decode("ascii")}
    answer: httpx.Response | None = None
    for place, address in enumerate(pinned.addresses, start=1):
        there, proof = url.copy_with(host=address), {"sni_hostname": pinned.host}
        try:
            request = client.build_request(method, there, headers=headers, extensions=proof, **sent)
            answer = await client.send(request, stream=True)
            break
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if place == len(pinned.addresses):
                raise
    if answer is None:
        raise httpx.ConnectError("there is no address")
    try:
        yield answer
    finally:
        await answer.aclose()


def words_for(fault: BaseException, host: str, seconds: float) -> str:
    """Why a connection or an answer failed; only the host's name and the library's fixed words, never what was sent."""
    cause: BaseException | None = fault
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate of {host} is not trusted ({cause.verify_message})"
        if isinstance(cause, ssl.SSLError):
            return f"{host} does not speak TLS there ({(cause.reason or 'no reason').replace('_', ' ').lower()})"
        if isinstance(cause, ConnectionRefusedError):
            return f"{host} refused the connection"
        if isinstance(cause, socket.gaierror):
            return f"the name {host} is not known to the network"
        cause = cause.__cause__ or cause.__context__
    name = type(fault).__name__
    if name == "ConnectTimeout":
        return f"{host} did not answer within {seconds:g} s"
    if isinstance(fault, TimeoutError) or name.endswith("Timeout"):
        return f"{host} took longer than {seconds:g} s"
    known = {"ConnectError": f"no connection to {host}", "RemoteProtocolError": f"{host} broke off or did not speak HTTP"}
    return known.get(name, f"the connection to {host} broke")
