"""The session cookie: signed claims that carry a session's identifier, an expiry and an audience, and nothing else."""

from appliance.access import signed
from appliance.keys import Keys

AUDIENCE = "ranvier-session"
_PURPOSE = "session"


def issue(keys: Keys, session: str, expires_at: int) -> str:
    """The cookie's value for a session that ends at `expires_at` (milliseconds)."""
    return signed.sign(keys, _PURPOSE, AUDIENCE, session, expires_at)


def read(keys: Keys, cookie: str, now: int) -> str:
    """The session's identifier; empty for anything forged, expired, unsigned, made for another purpose or malformed."""
    claims = signed.claims_of(keys, _PURPOSE, AUDIENCE, cookie, now)
    return str(claims["sub"]) if claims else ""
