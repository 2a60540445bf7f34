"""The client of the SDK protocol (family A), as the vendor's own clients speak it.

JSON under AES-128-CTR whose key goes to the cloud once, under its RSA key; one multipart upload of one part for each ZIP. A
session lives in the process and is made again when the cloud no longer knows it, once for each call.
"""

import base64
import binascii
import hashlib
import json
import secrets
from typing import Any

import msgspec

from appliance.asking import Answer
from appliance.cloud import wire
from appliance.cloud.errors import CloudAway, CloudRefusesKey, CloudUnreadable, PartDamaged, QuotaUsed, SessionOver
from appliance.cloud.section import CloudSection
from appliance.cloud.token import SESSION_KEY_BYTES, key_header
from appliance.keys import BadPublicKey, counter_mode, encrypt_for

ORIGIN = "ranvier"
KEY_REFUSED_S = 300.0
_BLOCK = 16
_NO_USAGES = "no api key usages remaining"


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Where an order stands, in the protocol's own words."""

    started: bool
    finished: bool
    failed: bool
    progress: int = 0
    info: str = ""


class _Session(msgspec.Struct, frozen=True):
    connection: str
    key: bytes


class SdkClient:
    """A client with its session; one for a process and a setting of the cloud."""

    def __init__(self, section: CloudSection) -> None:
        self.section = section
        self._base = section.api_url.rstrip("/")
        self._session: _Session | None = None

    async def new_order(self) -> str:
        """A new order at the cloud, empty."""
        return _text(await self._call("GET", "newJob", None), "orderId", "newJob")

    async def begin(self, order: str, index: int) -> str:
        """Begins a ZIP and gives the upload's identifier."""
        found = await self._call("POST", "multipartUploadRequest", _of(order, index))
        return _text(found, "uploadId", "multipartUploadRequest")

    async def put(self, order: str, index: int, upload: str, data: bytes) -> str:
        """Puts a ZIP where the cloud says, without any credential of ours; gives its ETag. Raises `PartDamaged`."""
        asked = {**_of(order, index), "uploadId": upload, "partNumber": str(index + 1)}
        url = _text(await self._call("POST", "multipartPresignedUrl", asked), "presignedUrl", "multipartPresignedUrl")
        if self._base.startswith("https:") and not url.startswith("https:"):
            raise CloudUnreadable(call="multipartPresignedUrl")
        sent: dict[str, Any] = {"content": data}
        if self.section.upload_kb_s:
            sent["content"] = wire.paced(data, self.section.upload_kb_s)
        headers = {"Content-Length": str(len(data))}
        found = await wire.ask(self.section, "the upload", "PUT", url, timeout_s=wire.PART_S, headers=headers, **sent)
        if found.status in (401, 403):
            # The address was over before all of it was there: the next try asks for a new one.
            raise CloudAway(after=wire.AWAY_S, why=f"the address of an upload was refused with HTTP {found.status}")
        if not 200 <= found.status < 300:
            raise wire.refusal("the upload", found, "")
        etag = found.headers.get("etag", "")
        plain = etag.strip('"').lower()
        if not plain:
            raise CloudUnreadable(call="the upload")
        if len(plain) == 32 and plain != hashlib.md5(data, usedforsecurity=False).hexdigest():
            raise PartDamaged(after=1.0)
        return etag

    async def complete(self, order: str, index: int, upload: str, etag: str, *, final: bool) -> None:
        """Says that a ZIP is whole; the last one completes the dataset."""
        parts = [{"PartNumber": index + 1, "ETag": etag}]
        asked = {**_of(order, index), "uploadId": upload, "uploadParts": parts, "finalPart": int(final)}
        await self._call("POST", "completeMultipartUpload", asked)

    async def start(self, order: str, product: str) -> None:
        """Asks an order to run; raises `QuotaUsed`."""
        await self._call("POST", "runJob", {"orderId": order, "productName": product})

    async def status(self, order: str) -> Status:
        """Where an order stands."""
        raw = await self._call("POST", "checkStatus", {"orderId": order})
        try:
            return msgspec.json.decode(raw, type=Status)
        except msgspec.DecodeError:
            raise CloudUnreadable(call="checkStatus") from None

    async def results(self, order: str, form: str) -> bytes:
        """A result in one of the protocol's formats."""
        return await self._call("POST", "getResults", {"orderId": order, "format": form})

    async def _call(self, method: str, name: str, asked: dict[str, Any] | None) -> bytes:
        """The decrypted answer; connects first where needed, and once more when the cloud does not know the session."""
        if self._session is not None:
            try:
                return await self._once(method, name, asked, self._session)
            except SessionOver:
                self._session = None
        self._session = await self._connect()
        try:
            return await self._once(method, name, asked, self._session)
        except SessionOver:
            self._session = None
            raise CloudRefusesKey(after=KEY_REFUSED_S, status=401) from None

    async def _once(self, method: str, name: str, asked: dict[str, Any] | None, session: _Session) -> bytes:
        headers = {"Content-Type": "text/plain", "Origin-Type": ORIGIN, "Connection-Id": session.connection}
        sent: dict[str, Any] = {} if asked is None else {"content": _sealed(session.key, json.dumps(asked).encode())}
        found = await wire.ask(self.section, name, method, f"{self._base}/api/{name}/", headers=headers, **sent)
        if found.status == 401:
            raise SessionOver()
        if not 200 <= found.status < 300:
            words = _error(found)
            if found.status == 403 and _NO_USAGES in words.lower():
                raise QuotaUsed(told=wire.told(words))
            raise wire.refusal(name, found, words)
        return _opened(session.key, found.body, name)

    async def _connect(self) -> _Session:
        found = await wire.ask(self.section, "getPubKey", "GET", f"{self._base}/api/getPubKey", headers={"Origin-Type": ORIGIN})
        if found.status != 200:
            raise wire.refusal("getPubKey", found, _error(found))
        key = secrets.token_bytes(SESSION_KEY_BYTES)
        plain = json.dumps({"aes_key": base64.b64encode(key).decode()}).encode()
        try:
            sealed = encrypt_for(_text(found.body, "pub_key", "getPubKey"), plain)
        except BadPublicKey:
            raise CloudUnreadable(call="getPubKey") from None
        headers = {"Content-Type": "text/plain", "Origin-Type": ORIGIN} | key_header(self.section)
        content = base64.b64encode(sealed)
        found = await wire.ask(self.section, "connect", "POST", f"{self._base}/api/connect/", headers=headers, content=content)
        if found.status in (401, 403):
            raise CloudRefusesKey(after=KEY_REFUSED_S, status=found.status)
        if not 200 <= found.status < 300:
            raise wire.refusal("connect", found, _error(found))
        return _Session(_text(found.body, "connectionId", "connect"), key)


_KEPT: list[SdkClient] = []


def client(section: CloudSection) -> SdkClient:
    """The process's client for these settings: settings that changed get a session of their own."""
    found = next((one for one in _KEPT if one.section == section), None)
    if found is None:
        found = SdkClient(section)
        _KEPT[:] = [found]
    return found


def _of(order: str, index: int) -> dict[str, Any]:
    return {"datasetId": order, "zipIndex": str(index), "orderId": order}


def _sealed(key: bytes, plain: bytes) -> bytes:
    """As the Python client sends: PKCS#7 to whole blocks, IV before the cipher text, base64."""
    missing = _BLOCK - len(plain) % _BLOCK
    initial = secrets.token_bytes(_BLOCK)
    return base64.b64encode(initial + counter_mode(key, initial, plain + bytes([missing]) * missing))


def _opened(key: bytes, body: bytes, call: str) -> bytes:
    if not body:
        return b""
    try:
        wire_bytes = base64.b64decode(body, validate=True)
        return counter_mode(key, wire_bytes[:_BLOCK], wire_bytes[_BLOCK:])
    except (binascii.Error, ValueError):
        raise CloudUnreadable(call=call) from None


def _text(body: bytes, name: str, call: str) -> str:
    """A field of an object; a filling behind it, which some servers leave, is passed over."""
    try:
        found, _ = json.JSONDecoder().raw_decode(body.decode())
        value = found[name]
    except (ValueError, KeyError, TypeError):
        raise CloudUnreadable(call=call) from None
    if not isinstance(value, str) or not value:
        raise CloudUnreadable(call=call)
    return value


def _error(found: Answer) -> str:
    """The sentence of an error, `{"error": sentence}`; empty when it has none."""
    try:
        told = json.loads(found.body)
    except ValueError:
        return ""
    return str(told.get("error", "")) if isinstance(told, dict) else ""
