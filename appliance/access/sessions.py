"""Signing in, and knowing later who is asking.

Sessions stand in the records: they can be ended from there, slide while they are used, and end when they are not (UI-06).
"""

import msgspec

from appliance.access import cookies, second_factor, signed
from appliance.access.lockout import Locked, Strangers, Tries, counted, refusal
from appliance.access.passwords import matches
from appliance.access.permissions import NotPermitted
from appliance.access.section import AccessSection
from appliance.keys import Keys
from appliance.moments import new_id
from appliance.records import users
from appliance.records.users import Account

HOUR_MS = 3_600_000
PORTAL = "portal"
CODE = "code"
"""How somebody is known who came with an upload code; their `session` is the code's identifier."""
SAML = "saml"
"""The kind of sessions that the identity provider stands for; they end when its settings change."""
PORTAL_MS = HOUR_MS
"""An uploader's session ends so long after sign-in, however much it is used."""
UPLOADS_MS = 24 * HOUR_MS
"""An upload that was begun within it may go on for so long."""
_UPLOADS = "ranvier-portal"
TOUCH_MS = 60_000
"""A session's row is written at most once a minute, however often it is used."""


class Caller(msgspec.Struct, kw_only=True, frozen=True):
    """Who is asking: a person by session, or a machine by token."""

    id: str
    name: str
    role: str
    by: str
    """`session`, `token`, `address` or `code`."""
    session: str = ""
    expires_at: int = 0
    seen_at: int = 0
    scopes: frozenset[str] = frozenset()
    """The permissions a token is narrowed to; empty: all of its role."""
    slides: bool = True
    """Whether using the session moves its end on."""


class Elsewhere(msgspec.Struct, kw_only=True, frozen=True):
    """Whom a session stands for at the identity provider: what it is found by, and what signing out there needs."""

    key: str = ""
    about: str = ""


HERE = Elsewhere()


class SignedIn(msgspec.Struct, kw_only=True, frozen=True):
    """A fresh session and its cookie."""

    caller: Caller
    cookie: str


async def sign_in(
    keys: Keys,
    section: AccessSection,
    strangers: Strangers,
    name: str,
    password: str,
    *,
    address: str,
    now: int,
    code: str = "",
) -> SignedIn:
    """Opens a session; raises `WrongPassword` or `Locked`, alike for names that exist and names that do not.

    The try is counted before the password is compared: tries that run at the same time cannot exceed the limit. With a
    second factor raises `CodeNeeded` or `WrongCode` after a right password; wrong codes count as wrong passwords do.
    """
    account = await users.by_name(name)
    if account is None or account.disabled or not account.password_hash:
        tries = strangers.count(name.strip().lower(), section, now)
        await matches("", password)
        raise refusal(tries, section, now)
    tries = await _count(account, section, now)
    if not await matches(account.password_hash, password):
        raise refusal(tries, section, now)
    try:
        await second_factor.use(keys, account.id, code, now)
    except second_factor.CodeNeeded:
        # The password was right and no code was guessed: asking for the code is no try.
        counted_row = msgspec.structs.replace(account, failures=tries.failures, locked_until=tries.locked_until)
        await users.swap_tries(counted_row, tries.failures - 1, 0)
        raise
    await users.clear_tries(account.id)
    return await open_session(keys, section, account, address, now)


async def require_password(section: AccessSection, caller: Caller, password: str, *, now: int) -> None:
    """Raise `WrongPassword` or `Locked` unless this is the caller's password; counted like a sign-in."""
    account = await users.by_id(caller.id)
    if account is None:
        raise NotPermitted(permission="session")
    tries = await _count(account, section, now)
    if not await matches(account.password_hash, password):
        raise refusal(tries, section, now)
    await users.clear_tries(account.id)


async def require_both(keys: Keys, section: AccessSection, caller: Caller, password: str, code: str, *, now: int) -> None:
    """As `require_password`, and a code where the account has a second factor; a wrong code counts like a wrong password."""
    account = await users.by_id(caller.id)
    if account is None:
        raise NotPermitted(permission="session")
    tries = await _count(account, section, now)
    if not await matches(account.password_hash, password):
        raise refusal(tries, section, now)
    await second_factor.use(keys, account.id, code, now)
    await users.clear_tries(account.id)


async def _count(account: Account, section: AccessSection, now: int) -> Tries:
    current: Account | None = account
    while current is not None:
        if current.locked_until > now:
            raise Locked(current.locked_until, now)
        tries = counted(Tries(failures=current.failures, locked_until=current.locked_until), section, now)
        if await users.swap_tries(current, tries.failures, tries.locked_until):
            return tries
        current = await users.by_id(account.id)
    raise refusal(Tries(failures=1), section, now)


async def open_session(
    keys: Keys, section: AccessSection, account: Account, address: str, now: int, elsewhere: Elsewhere = HERE
) -> SignedIn:
    """Opens a session for somebody who has proven who they are, here or elsewhere."""
    slides = account.role != "uploader"
    session, expires_at = new_id(now), now + (section.idle_hours * HOUR_MS if slides else PORTAL_MS)
    kind = (SAML if elsewhere.key else "session") if slides else PORTAL
    await users.add_session(
        session, account.id, address, now, expires_at, kind=kind, subject_key=elsewhere.key, subject=elsewhere.about
    )
    caller = _caller(account, session, expires_at, now, slides)
    return SignedIn(caller=caller, cookie=cookies.issue(keys, session, expires_at))


def _caller(account: Account, session: str, expires_at: int, seen_at: int, slides: bool) -> Caller:
    return Caller(
        id=account.id,
        name=account.name,
        role=account.role,
        by="session",
        session=session,
        expires_at=expires_at,
        seen_at=seen_at,
        slides=slides,
    )


async def recognise(keys: Keys, cookie: str, now: int) -> Caller | None:
    """Whose cookie it is; None when the session ended, was revoked, or the account is disabled."""
    session = cookies.read(keys, cookie, now)
    return await standing(session, now) if session else None


async def standing(session: str, now: int) -> Caller | None:
    """Who holds a session that has not ended; for streams that outlive the request that opened them."""
    found = await users.session_with_account(session)
    if found is None:
        return None
    row, account = found
    if row.revoked or row.expires_at <= now or account.disabled:
        return None
    return _caller(account, session, row.expires_at, row.seen_at, row.kind != PORTAL)


async def slide(keys: Keys, section: AccessSection, caller: Caller, now: int) -> SignedIn:
    """Moves the end of a used session on; called when it was not noted as used for `TOUCH_MS`."""
    expires_at = now + section.idle_hours * HOUR_MS
    await users.extend_session(caller.session, now, expires_at)
    moved = msgspec.structs.replace(caller, expires_at=expires_at, seen_at=now)
    return SignedIn(caller=moved, cookie=cookies.issue(keys, caller.session, expires_at))


async def sign_out(caller: Caller) -> None:
    """Ends the caller's session."""
    if caller.session:
        await users.revoke_session(caller.session)


def upload_token(keys: Keys, code: str, now: int) -> str:
    """What whoever came with an upload code shows from then on: begins for an hour, goes on with what was begun for a day."""
    return signed.sign(keys, _UPLOADS, _UPLOADS, code, now + UPLOADS_MS, begins=str(now + PORTAL_MS))


def of_upload_token(keys: Keys, text: str, now: int) -> Caller | None:
    """Who came with an upload code; None for anything forged or expired."""
    claims = signed.claims_of(keys, _UPLOADS, _UPLOADS, text, now)
    if not claims:
        return None
    code = str(claims["sub"])
    return Caller(
        id=f"code:{code}", name=f"code {code[-12:]}", role="uploader", by=CODE, session=code,
        expires_at=int(str(claims.get("begins", "0"))), scopes=frozenset({"uploads.write"}), slides=False,
    )  # fmt: skip
