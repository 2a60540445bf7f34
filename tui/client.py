"""The HTTP client of the API, and the only place that uses httpx.

httpx is imported when the first request is made, so that the console paints before it loads.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

import msgspec

from tui.contract import Me
from tui.trouble import Problem, StrangeAnswer, Unreachable

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

COOKIE = "ranvier_session"
SILENCE_S = 40.0
UPLOAD_S = 600.0
"""The live stream sends a line every 15 s; after so long without one it is taken for broken."""


@dataclass(frozen=True)
class File:
    """A file as the API sent it."""

    name: str
    content: bytes


class Client:
    """Calls of one API under one session."""

    def __init__(self, url: str, token: str = "", *, transport: "httpx.AsyncBaseTransport | None" = None) -> None:
        self.url = url.rstrip("/")
        self.token = token
        self._transport = transport
        self._http: httpx.AsyncClient | None = None

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes all connections."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def get(self, path: str, kind: type[T], **query: str | int | None) -> T:
        """The answer of a GET as `kind`; raises `Problem`, `Unreachable` or `StrangeAnswer`."""
        return self._decode(await self.call("GET", path, query=query), kind)

    async def post(self, path: str, kind: type[T], body: object = None, *, headers: dict[str, str] | None = None) -> T:
        """The answer of a POST as `kind`."""
        return self._decode(await self.call("POST", path, body=body, headers=headers), kind)

    async def patch(self, path: str, kind: type[T], body: object, *, headers: dict[str, str] | None = None) -> T:
        """The answer of a PATCH as `kind`."""
        return self._decode(await self.call("PATCH", path, body=body, headers=headers), kind)

    async def put(self, path: str, kind: type[T], body: object) -> T:
        """The answer of a PUT as `kind`."""
        return self._decode(await self.call("PUT", path, body=body), kind)

    async def text(self, path: str) -> str:
        """A text file of the API."""
        return (await self.call("GET", path)).text

    async def download(self, path: str) -> File:
        """A file of the API with the name that it proposes; the name never leaves its folder."""
        answer = await self.call("GET", path)
        return File(name=_file_name(answer.headers.get("content-disposition", "")), content=answer.content)

    async def upload(self, path: str, file: Path, kind: type[T], media_type: str) -> T:
        """Sends a file piece by piece; raises `Problem` or `Unreachable`."""
        http = await self._open()
        import httpx

        headers = self._headers({"Content-Type": media_type})
        try:
            answer = await http.post(path, content=_pieces(file), headers=headers, timeout=UPLOAD_S)
        except (httpx.TransportError, httpx.InvalidURL) as fault:
            raise Unreachable(self.url, _reason(fault)) from fault
        if answer.is_error:
            raise _problem(answer)
        return self._decode(answer, kind)

    async def stream_to(self, path: str, query: dict[str, str | int | None], write: Callable[[bytes], object]) -> None:
        """Hands a large answer on piece by piece; raises `Problem` or `Unreachable`."""
        http = await self._open()
        import httpx

        given = {key: value for key, value in query.items() if value not in (None, "")}
        try:
            async with http.stream("GET", path, params=given, headers=self._headers(None), timeout=SILENCE_S) as answer:
                if answer.is_error:
                    await answer.aread()
                    raise _problem(answer)
                async for piece in answer.aiter_bytes():
                    write(piece)
        except (httpx.TransportError, httpx.StreamError, httpx.InvalidURL) as fault:
            raise Unreachable(self.url, _reason(fault)) from fault

    async def login(self, user: str, password: str, code: str = "") -> Me:
        """Signs in, with a code where the account has a second factor; the session's token is used from then on."""
        self.token = ""
        given = {"user": user, "password": password} | ({"code": code} if code else {})
        return await self.post("/api/login", Me, given)

    async def login_by_code(self, code: str) -> Me:
        """Signs in with the code that a browser shows after single sign-on."""
        self.token = ""
        return await self.post("/api/login/code", Me, {"code": code})

    async def logout(self) -> None:
        """Ends the session on the server."""
        await self.call("POST", "/api/logout")
        self.token = ""

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: dict[str, str | int | None] | None = None,
        headers: dict[str, str] | None = None,
    ) -> "httpx.Response":
        """One request and its successful answer; raises `Problem` or `Unreachable`."""
        http = await self._open()
        import httpx

        given = {key: value for key, value in (query or {}).items() if value not in (None, "")}
        try:
            answer = await http.request(
                method,
                path,
                content=None if body is None else msgspec.json.encode(body),
                params=given,
                headers=self._headers(headers, json=body is not None),
            )
        except (httpx.TransportError, httpx.InvalidURL) as fault:
            raise Unreachable(self.url, _reason(fault)) from fault
        self._keep_session(answer)
        if answer.is_error:
            raise _problem(answer)
        return answer

    async def lines(self, path: str, headers: dict[str, str]) -> AsyncIterator[str]:
        """The lines of an endless answer, after a comment of our own once it is open; raises `Unreachable` when it breaks."""
        http = await self._open()
        import httpx

        patience = httpx.Timeout(10.0, read=SILENCE_S)
        try:
            async with http.stream("GET", path, headers=self._headers(headers), timeout=patience) as answer:
                if answer.is_error:
                    await answer.aread()
                    raise _problem(answer)
                yield ": open"
                async for line in answer.aiter_lines():
                    yield line
        except (httpx.TransportError, httpx.StreamError, httpx.InvalidURL) as fault:
            raise Unreachable(self.url, _reason(fault)) from fault

    async def _open(self) -> "httpx.AsyncClient":
        if self._http is None:
            # Loading httpx takes longer than a frame; in a thread it does not hold up drawing and keys.
            await asyncio.to_thread(__import__, "httpx")
            import httpx

            self._http = httpx.AsyncClient(
                base_url=self.url, transport=self._transport, timeout=httpx.Timeout(30.0, connect=5.0), trust_env=False
            )
        return self._http

    def _headers(self, more: dict[str, str] | None, *, json: bool = False) -> dict[str, str]:
        headers = dict(more or {})
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if json:
            headers["Content-Type"] = "application/json"
        return headers

    def _keep_session(self, answer: "httpx.Response") -> None:
        """The session travels as a bearer token; a newer cookie in any answer prolongs it."""
        newer = answer.cookies.get(COOKIE)
        if newer:
            self.token = newer
        if self._http is not None:
            self._http.cookies.clear()

    def _decode(self, answer: "httpx.Response", kind: type[T]) -> T:
        if not answer.content:
            return msgspec.convert({}, kind)
        try:
            return msgspec.json.decode(answer.content, type=kind, strict=False)
        except msgspec.MsgspecError as fault:
            raise StrangeAnswer(self.url, str(fault)) from fault


async def _pieces(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as handle:
        while piece := await asyncio.to_thread(handle.read, 1 << 20):
            yield piece


def _problem(answer: "httpx.Response") -> Problem:
    try:
        body = msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.MsgspecError:
        body = {"title": f"The API answered {answer.status_code} {answer.reason_phrase}."}
    return Problem(answer.status_code, body)


def _reason(fault: Exception) -> str:
    kind = type(fault).__name__
    words = {
        "ConnectError": "Nobody listens there.",
        "ConnectTimeout": "No answer within 5 s.",
        "ReadTimeout": "No answer in time.",
        "RemoteProtocolError": "The connection was cut.",
        "ReadError": "The connection was cut.",
    }
    if "CERTIFICATE_VERIFY_FAILED" in str(fault):
        return "Its certificate is not trusted here; SSL_CERT_FILE can name the site's own authority."
    return words.get(kind, f"{kind}.")


def _file_name(disposition: str) -> str:
    _, _, name = disposition.partition("filename=")
    name = name.split(";")[0].strip().strip('"')
    # Names with spaces come encoded (RFC 8187).
    _, encoded, other = disposition.partition("filename*=")
    name = unquote(other.split(";")[0].strip().partition("''")[2]) if encoded else name
    name = name.replace("\\", "/").rsplit("/", 1)[-1]
    safe = "".join(letter for letter in name if letter.isalnum() or letter in "._-")
    return safe.lstrip(".") or "download"
