"""The second factor: time-based codes (TOTP, RFC 6238) of an app on a phone, and recovery codes for the day it is lost.

SHA-1, six digits, thirty seconds: what every authenticator app understands. Each code works once. The secret stands sealed in
the account's row, bound to the account; recovery codes stand there as keyed digests.
"""

import base64
import hmac
import secrets
import struct
from hashlib import sha1
from urllib.parse import quote

import msgspec

from appliance.errors import Conflict, Denied
from appliance.keys import Keys
from appliance.records import users
from appliance.records.users import Account

STEP_S = 30
DIGITS = 6
DRIFT = 1
"""How many steps a phone's clock may be off."""
RECOVERY_CODES = 10
_SECRET_BYTES = 20
_PURPOSE = "second-factor"


class CodeNeeded(Denied):
    """This account has a second factor: a code is needed beside the password."""

    code = "second-factor-needed"
    next_step = "Give the code that your authenticator app shows, or one of your recovery codes."


class WrongCode(Denied):
    """The code is wrong, was used already, or is too old."""

    code = "wrong-code"
    next_step = "Wait for the next code of your app and give that; check the clocks of phone and appliance."


class NoSecondFactor(Conflict):
    """No second factor waits to be confirmed."""

    code = "no-second-factor"
    next_step = "Begin with a new secret."


class HasSecondFactor(Conflict):
    """This account has a second factor already."""

    code = "has-second-factor"
    next_step = "Remove it first."


class Factor(msgspec.Struct, kw_only=True, frozen=True):
    """What the sealed column holds."""

    secret: bytes
    confirmed: bool = False
    last_step: int = 0
    """The time step of the newest code that was used: none before it works again."""
    recovery: list[str] = []


class Begun(msgspec.Struct, kw_only=True, frozen=True):
    """A secret for an authenticator app, as text and as the address that a QR code holds."""

    secret: str
    uri: str


class Standing(msgspec.Struct, kw_only=True, frozen=True):
    """Whether an account has a second factor, and how many recovery codes are left."""

    enabled: bool
    recovery_left: int


def code_at(secret: bytes, step: int) -> str:
    """The code of one time step (RFC 4226 section 5.3)."""
    digest = hmac.new(secret, struct.pack(">Q", step), sha1).digest()
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


async def standing(keys: Keys, account: Account) -> Standing:
    """How an account stands."""
    factor = _opened(keys, account.id, await users.second_factor(account.id))
    enabled = bool(factor and factor.confirmed)
    return Standing(enabled=enabled, recovery_left=len(factor.recovery) if factor and enabled else 0)


async def begin(keys: Keys, account: Account, issuer: str) -> Begun:
    """A new secret that counts once it is confirmed; raises `HasSecondFactor`."""
    sealed = await users.second_factor(account.id)
    factor = _opened(keys, account.id, sealed)
    if factor and factor.confirmed:
        raise HasSecondFactor()
    secret = secrets.token_bytes(_SECRET_BYTES)
    if not await _swap(keys, account.id, sealed, Factor(secret=secret)):
        raise HasSecondFactor()
    text = base64.b32encode(secret).decode()
    label = quote(f"{issuer}:{account.name}", safe=":")
    return Begun(
        secret=text, uri=f"otpauth://totp/{label}?secret={text}&issuer={quote(issuer)}&digits={DIGITS}&period={STEP_S}"
    )


async def confirm(keys: Keys, account: Account, code: str, now: int) -> list[str]:
    """Switches the second factor on and gives the recovery codes, this once; raises `NoSecondFactor`, `WrongCode`."""
    sealed = await users.second_factor(account.id)
    factor = _opened(keys, account.id, sealed)
    if factor is None or factor.confirmed:
        raise NoSecondFactor()
    step = _step_of(factor, code, now)
    if step is None:
        raise WrongCode()
    codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
    digests = [_digest(keys, account.id, one) for one in codes]
    whole = msgspec.structs.replace(factor, confirmed=True, last_step=step, recovery=digests)
    if not await _swap(keys, account.id, sealed, whole):
        raise NoSecondFactor()
    return codes


async def needed(keys: Keys, user: str) -> bool:
    """Whether an account's password alone opens no session."""
    factor = _opened(keys, user, await users.second_factor(user))
    return bool(factor and factor.confirmed)


async def use(keys: Keys, user: str, code: str, now: int) -> None:
    """Takes a code, or a recovery code, of an account that needs one; raises `CodeNeeded` without one, and `WrongCode`."""
    sealed = await users.second_factor(user)
    factor = _opened(keys, user, sealed)
    if factor is None or not factor.confirmed:
        return
    if not code.strip():
        raise CodeNeeded()
    step = _step_of(factor, code, now)
    digest = _digest(keys, user, code)
    if step is not None:
        used = msgspec.structs.replace(factor, last_step=step)
    elif digest in factor.recovery:
        used = msgspec.structs.replace(factor, recovery=[one for one in factor.recovery if one != digest])
    else:
        raise WrongCode()
    # Of two sign-ins with the same code at the same time one finds the column changed.
    if not await _swap(keys, user, sealed, used):
        raise WrongCode()


async def remove(user: str) -> None:
    """Takes the second factor away: the password alone opens a session again."""
    await users.clear_second_factor(user)


def _step_of(factor: Factor, code: str, now: int) -> int | None:
    """The time step that a code belongs to; None when it is none of now, or not newer than the last one used."""
    typed = "".join(code.split())
    if len(typed) != DIGITS or not typed.isascii() or not typed.isdigit():
        return None
    present = now // 1000 // STEP_S
    found = None
    for step in range(present - DRIFT, present + DRIFT + 1):
        same = hmac.compare_digest(code_at(factor.secret, step), typed)
        if same and step > factor.last_step:
            found = step
    return found


def _recovery_code() -> str:
    text = base64.b32encode(secrets.token_bytes(10)).decode().lower()
    return "-".join(text[start : start + 4] for start in range(0, 16, 4))


def _digest(keys: Keys, user: str, code: str) -> str:
    typed = "".join(code.split()).replace("-", "").lower()[:64]
    return keys.digest("recovery-code", f"{user}/{typed}")


def _opened(keys: Keys, user: str, sealed: bytes) -> Factor | None:
    return msgspec.json.decode(keys.open(_PURPOSE, sealed, user), type=Factor) if sealed else None


async def _swap(keys: Keys, user: str, before: bytes, factor: Factor) -> bool:
    return await users.swap_second_factor(user, before, keys.seal(_PURPOSE, msgspec.json.encode(factor), user))
