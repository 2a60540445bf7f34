"""What a client of the SDK protocol and the hub say to each other: JSON under AES-128-CTR, the key under RSA-OAEP."""

import base64
import binascii
import json
import secrets
from typing import Any

from appliance.hub.errors import Unreadable
from appliance.keys import KeyPair, counter_mode

KEY_BYTES = 16
_IV_BYTES = 16


def session_key(pair: KeyPair, body: bytes) -> bytes:
    """The key that a client made for its session: base64 of RSA-OAEP of `{"aes_key": base64}`; raises `RanvierError`."""
    try:
        told = json.loads(pair.opened(_decoded(body)))
        key = _decoded(str(told["aes_key"]).encode())
    except (ValueError, KeyError, TypeError):
        raise Unreadable() from None
    if len(key) != KEY_BYTES:
        raise Unreadable()
    return key


def opened(key: bytes, body: bytes) -> dict[str, Any]:
    """What a client said; raises `Unreadable`.

    Clients fill the last block in three ways: with PKCS#7, with zeros, not at all. All three are taken and nothing else.
    """
    wire = _decoded(body)
    try:
        text = counter_mode(key, wire[:_IV_BYTES], wire[_IV_BYTES:]).decode()
        found, end = json.JSONDecoder().raw_decode(text)
    except ValueError:
        raise Unreadable() from None
    tail = text[end:].encode()
    padded = bool(tail) and len(tail) <= KEY_BYTES and tail == bytes([len(tail)]) * len(tail)
    if not isinstance(found, dict) or not (padded or not tail.strip(b"\0")):
        raise Unreadable()
    return found


def closed(key: bytes, answer: bytes) -> bytes:
    """An answer for a client, without padding: no client takes any off."""
    initial = secrets.token_bytes(_IV_BYTES)
    return base64.b64encode(initial + counter_mode(key, initial, answer))


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise Unreadable() from None
