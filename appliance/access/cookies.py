"""The session cookie: a JWT (RFC 7519) that carries a session's identifier, an expiry and an audience, and nothing else.

HS256 alone is accepted; `exp` and `aud` must be there. The session's row decides; the cookie only names it.
"""

from jose import jwt
from jose.exceptions import JOSEError

from appliance.keys import Keys

ALGORITHM = "HS256"
AUDIENCE = "ranvier-session"
_PURPOSE = "session"
_LONGEST = 1024
_OPTIONS = {
    "require_aud": True,
    "require_sub": True,
    # `exp` is required and compared below, with the caller's clock: the library knows only the machine's.
    "verify_exp": False,
}


def issue(keys: Keys, session: str, expires_at: int) -> str:
    """The cookie's value for a session that ends at `expires_at` (milliseconds)."""
    claims = {"sub": session, "exp": expires_at // 1000, "aud": AUDIENCE}
    return str(jwt.encode(claims, keys.derive(_PURPOSE), algorithm=ALGORITHM))


def read(keys: Keys, cookie: str, now: int) -> str:
    """The session's identifier; empty for anything forged, expired, unsigned, made for another purpose or malformed."""
    if len(cookie) > _LONGEST:
        return ""
    try:
        claims = jwt.decode(cookie, keys.derive(_PURPOSE), algorithms=[ALGORITHM], audience=AUDIENCE, options=_OPTIONS)
    except JOSEError:
        return ""
    expires, session = claims.get("exp"), claims.get("sub")
    # A list of audiences that holds ours among others was not made here.
    if claims.get("aud") != AUDIENCE or not isinstance(expires, int) or isinstance(expires, bool):
        return ""
    return str(session) if expires * 1000 > now else ""
