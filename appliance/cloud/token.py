"""The test of the cloud's sign-in: a token of the REST protocol, or a session of the SDK protocol. Sends no study."""

import base64
import json
import secrets
from typing import Any

from appliance import asking
from appliance.cloud.section import CloudSection
from appliance.errors import Misconfigured
from appliance.keys import BadPublicKey, encrypt_for
from appliance.probe import TEST_S, Probe

SESSION_KEY_BYTES = 16


async def probe(section: CloudSection) -> Probe:
    """Signs in to the cloud once with the section's credentials, and says field by field what it answered."""
    rest = section.protocol == "rest"
    needed = ("api_url", "service_user", "service_password") if rest else ("api_url", "api_key")
    missing = [name for name in needed if not getattr(section, name)]
    if missing:
        return Probe(ok=False, lines=[f"These fields are empty: {', '.join(missing)}."])
    try:
        return await (_token(section) if rest else _session(section))
    except Misconfigured as error:
        return Probe(ok=False, lines=[error.what, error.advice])


async def _token(section: CloudSection) -> Probe:
    """GET /auth/token with basic authentication gives a bearer token for an hour."""
    pair = f"{section.service_user}:{section.service_password.reveal()}".encode()
    headers = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"} | key_header(section)
    answer = await _ask(section, "GET", "/auth/token", headers=headers)
    lines = [f"GET /auth/token answered HTTP {answer.status}."]
    if answer.status in (401, 403):
        return Probe(ok=False, lines=[*lines, "The cloud does not accept service user and password."])
    found = _object(answer)
    if answer.status != 200 or found is None:
        return Probe(ok=False, lines=[*lines, "This is not the answer of the cloud's API; check the API URL."])
    token, kind, seconds = found.get("access_token"), found.get("token_type"), found.get("expires_in")
    good = isinstance(token, str) and bool(token)
    lines.append(f"access_token: {'there' if good else 'missing'}.")
    lines.append(f"token_type: {kind}." if kind == "Bearer" else f"token_type: {_described(kind)}; expected Bearer.")
    timed = isinstance(seconds, int) and not isinstance(seconds, bool)
    lines.append(f"expires_in: {seconds} s." if timed else f"expires_in: {_described(seconds)}; expected a number of seconds.")
    return Probe(ok=good, lines=[*lines, "The sign-in works." if good else "There is no token to work with."])


async def _session(section: CloudSection) -> Probe:
    """GET /api/getPubKey, then POST /api/connect/ with a session key for that public key (RSA-OAEP with SHA-256)."""
    answer = await _ask(section, "GET", "/api/getPubKey")
    lines = [f"GET /api/getPubKey answered HTTP {answer.status}."]
    public_key = (_object(answer) or {}).get("pub_key")
    if answer.status != 200 or not isinstance(public_key, str):
        return Probe(ok=False, lines=[*lines, "This is not the answer of the cloud's API; check the API URL."])
    plain = json.dumps({"aes_key": base64.b64encode(secrets.token_bytes(SESSION_KEY_BYTES)).decode()})
    try:
        sealed = encrypt_for(public_key, plain.encode())
    except BadPublicKey as error:
        return Probe(ok=False, lines=[*lines, error.what])
    headers = {"Content-Type": "text/plain", "Origin-Type": "API"} | key_header(section)
    answer = await _ask(section, "POST", "/api/connect/", headers=headers, content=base64.b64encode(sealed))
    lines.append(f"POST /api/connect/ answered HTTP {answer.status}.")
    found = _object(answer) or {}
    if answer.status in (401, 403):
        return Probe(ok=False, lines=[*lines, "The cloud does not accept the API key."])
    good = 200 <= answer.status < 300 and isinstance(found.get("connectionId"), str)
    lines.append(f"connectionId: {'there' if good else 'missing'}.")
    return Probe(ok=good, lines=[*lines, "The sign-in works." if good else "There is no session to work with."])


def key_header(section: CloudSection) -> dict[str, str]:
    """The header of the API key; raises `KeyUnusable`."""
    key = section.api_key.reveal()
    if key and not (key.isascii() and key.isprintable()):
        raise KeyUnusable(field="api_key")
    return {"X-Api-Key": key} if key else {}


class KeyUnusable(Misconfigured):
    """The API key has characters that no HTTP header can carry."""

    code = "api-key-unusable"
    next_step = "Enter the key again, without line breaks."


async def _ask(section: CloudSection, method: str, path: str, **sent: Any) -> asking.Answer:
    return await asking.ask(
        method,
        section.api_url.rstrip("/") + path,
        allow_local=section.own_machine,
        authority=section.authority,
        timeout_s=TEST_S / 2,
        field="api_url",
        **sent,
    )


def _object(answer: asking.Answer) -> dict[str, Any] | None:
    try:
        found = json.loads(answer.body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _described(value: Any) -> str:
    return "missing" if value is None else f"a {type(value).__name__}"
