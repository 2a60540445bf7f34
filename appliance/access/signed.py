"""Signed claims (JWT, RFC 7519) with one algorithm, one audience each, and an end: what cookie and access token are made of.

HS256 alone is accepted; `exp`, `aud` and `sub` must be there. A row of the records decides; the claims only name it.
"""

from typing import Any

from jose import jwt
from jose.exceptions import JOSEError

from appliance.keys import Keys

ALGORITHM = "HS256"
_LONGEST = 4096
_OPTIONS = {
    "require_aud": True,
    "require_sub": True,
    # `exp` is required and compared below, with the caller's clock: the library knows only the machine's.
    "verify_exp": False,
}


def sign(keys: Keys, purpose: str, audience: str, subject: str, expires_at: int, **more: str) -> str:
    """Claims about a subject that end at `expires_at` (milliseconds)."""
    claims = {"sub": subject, "exp": expires_at // 1000, "aud": audience, **more}
    return str(jwt.encode(claims, keys.derive(purpose), algorithm=ALGORITHM))


def claims_of(keys: Keys, purpose: str, audience: str, text: str, now: int) -> dict[str, Any] | None:
    """The claims; None for anything forged, expired, unsigned, made for another purpose or malformed."""
    if len(text) > _LONGEST:
        return None
    try:
        claims: dict[str, Any] = jwt.decode(
            text, keys.derive(purpose), algorithms=[ALGORITHM], audience=audience, options=_OPTIONS
        )
    except JOSEError:
        return None
    expires = claims.get("exp")
    # A list of audiences that holds ours among others was not made here.
    if claims.get("aud") != audience or not isinstance(expires, int) or isinstance(expires, bool):
        return None
    return claims if expires * 1000 > now else None
