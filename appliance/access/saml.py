"""Single sign-on by SAML 2.0: sent to the identity provider and back, each request and each assertion good for one use.

What waits for its answer stands in the records: several processes may serve, and a restart forgets nothing.
"""

import asyncio
import hashlib
import hmac
import re
import secrets

import msgspec

from appliance.access import saml_answer, saml_people, sessions
from appliance.access.saml_errors import AccountDisabled, SamlRefused
from appliance.access.saml_setup import Provider
from appliance.access.section import AccessSection
from appliance.access.sessions import SignedIn
from appliance.keys import Keys
from appliance.moments import new_id
from appliance.records import single_use, users
from appliance.records.users import Account

REQUEST_MS = 600_000
"""So long may somebody take to sign in at the identity provider."""
CODE_MS = 180_000
STATE = "ranvier"
"""Sent along because an empty one breaks some providers; what comes back is not looked at."""
CONSOLE = "console"
"""As the place to go on to: a code that the console is signed in with."""
_PLACE = re.compile(r"/(?![/\\])[A-Za-z0-9._~/\-]{0,200}")


class Waiting(msgspec.Struct, frozen=True):
    """What is kept of a request until its answer comes."""

    place: str
    browser: str
    setup: str


class Subject(msgspec.Struct, frozen=True):
    """Whom a session stands for at the identity provider."""

    name: str
    format: str
    index: str


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """Where to send a browser, and what it must bring back."""

    url: str
    browser: str


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """A fresh session, where to go on, and the console's code if that was asked for."""

    signed: SignedIn
    place: str
    code: str = ""


async def begin(provider: Provider, place: str, *, now: int) -> Begun:
    """A signed request; `place` is a path of ours to go on to, anything else is the first page."""
    url, request = await asyncio.to_thread(_request, provider)
    browser = secrets.token_urlsafe(32)
    waiting = Waiting(safe_place(place), _digest(browser), fingerprint(provider))
    await single_use.forget(now)
    await single_use.put("saml-request", request, now + REQUEST_MS, msgspec.json.encode(waiting).decode())
    return Begun(url=url, browser=browser)


def safe_place(place: str) -> str:
    """A path of ours, or the console's word; empty for everything else: nobody is sent on to a foreign page."""
    return place if place == CONSOLE or _PLACE.fullmatch(place) else ""


async def finish(
    keys: Keys, access: AccessSection, provider: Provider, answer: str, browser: str, *, address: str, now: int
) -> Finished:
    """Opens a session for whom an answer proves; raises `SamlRefused`, `NoGroup`, `AccountDisabled`.

    The request is used up by the first answer to it, whatever becomes of that. What else a browser posts is not looked at.
    """
    document = saml_answer.decoded(answer)
    request = saml_answer.request_of(document)
    kept = await single_use.take("saml-request", request[:64], now)
    if kept is None:
        raise SamlRefused("request", "it answers no request that is open: it came too late, or a second time")
    waiting = msgspec.json.decode(kept, type=Waiting)
    if not hmac.compare_digest(waiting.browser, _digest(browser)):
        raise SamlRefused("browser", "another browser began to sign in")
    if waiting.setup != fingerprint(provider):
        raise SamlRefused("changed", "the settings of single sign-on were changed meanwhile")
    proven = await asyncio.to_thread(saml_answer.check, provider, document, request, now=now)
    once = keys.digest("saml-assertion", f"{provider.section.idp_entity_id}\n{proven.assertion}")
    if not await single_use.put("saml-assertion", once, proven.until):
        raise SamlRefused("replayed", "it was used before")
    role = saml_people.role_of(provider.section, proven)
    wanted = Account(id=new_id(now), name=saml_people.name_of(proven), role=role, created_at=now)
    account = await users.of_identity_provider(wanted)
    if account.disabled:
        raise AccountDisabled()
    subject = Subject(proven.name, proven.format, proven.session_index)
    signed = await _open(keys, access, account, subject, address, now)
    code = await hand_over(keys, account, subject, now) if waiting.place == CONSOLE else ""
    return Finished(signed=signed, place="" if code else waiting.place, code=code)


async def redeem(keys: Keys, access: AccessSection, code: str, *, address: str, now: int) -> SignedIn | None:
    """The session of a console whose owner typed the code that their browser was given; None for any other code."""
    body = await single_use.take("sign-in-code", keys.digest("sign-in-code", _plain(code)), now)
    if body is None:
        return None
    owner, subject = msgspec.json.decode(body, type=tuple[str, Subject])
    account = await users.by_id(owner)
    if account is None or account.disabled:
        return None
    return await _open(keys, access, account, subject, address, now)


def subject_key(keys: Keys, name: str) -> str:
    """By what the sessions of somebody are found when the identity provider signs them out."""
    return keys.digest("saml-subject", name)


def fingerprint(provider: Provider) -> str:
    """A digest of the settings in force: what was begun under others does not count."""
    return hashlib.sha256(msgspec.json.encode(provider.section)).hexdigest()


async def _open(keys: Keys, access: AccessSection, account: Account, subject: Subject, address: str, now: int) -> SignedIn:
    about = msgspec.json.encode(subject).decode()
    elsewhere = sessions.Elsewhere(key=subject_key(keys, subject.name), about=about)
    return await sessions.open_session(keys, access, account, address, now, elsewhere)


async def hand_over(keys: Keys, account: Account, subject: Subject, now: int) -> str:
    """A code that opens one session of an account within three minutes."""
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    code = "".join(secrets.choice(letters) for _ in range(12))
    body = msgspec.json.encode((account.id, subject)).decode()
    await single_use.put("sign-in-code", keys.digest("sign-in-code", code), now + CODE_MS, body)
    return "-".join(code[start : start + 4] for start in range(0, 12, 4))


def _plain(code: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", code[:64].upper())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _request(provider: Provider) -> tuple[str, str]:
    from onelogin.saml2.auth import OneLogin_Saml2_Auth

    toolkit = OneLogin_Saml2_Auth(provider.request_data(), old_settings=provider.toolkit())
    # What comes back beside the answer is not looked at: where to go on stands in the records.
    return str(toolkit.login(return_to=STATE)), str(toolkit.get_last_request_id())
