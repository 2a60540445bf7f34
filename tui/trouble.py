"""What can go wrong between the console and the API, named by what the user can do.

Trouble
|- Problem          the API answered with problem+json
|- Unreachable      nobody answered
`- StrangeAnswer    something answered that is not this API
"""

from typing import Any


class Trouble(Exception):
    """Something between here and the API went wrong; says what, why and what next."""

    what: str = "Something went wrong."
    why: str = ""
    next_step: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.why) if part)


class Problem(Trouble):
    """The API's own words (RFC 9457)."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.status = status
        self.body = body
        self.code = str(body.get("code") or "")
        self.what = str(body.get("detail") or body.get("title") or f"The API answered {status}.")
        self.next_step = str(body.get("next_step") or "")
        self.request_id = str(body.get("request_id") or "")
        self.locked_until = body.get("locked_until")
        position = body.get("position")
        self.position = position if isinstance(position, int) else None
        fields = body.get("fields")
        self.fields = {
            str(one.get("field")): str(one.get("message")) for one in fields or [] if isinstance(one, dict) and one.get("field")
        }
        super().__init__(self.what)

    @property
    def signed_out(self) -> bool:
        """Whether signing in again is what helps."""
        return self.status == 401


class Unreachable(Trouble):
    """Nobody answers at the API's address."""

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.what = f"Cannot reach {url}."
        self.why = reason
        self.next_step = "Is the api service up? `ranvier doctor` tells; RANVIER_URL names another address."
        super().__init__(self.what)


class StrangeAnswer(Trouble):
    """The answer is not in the form that this version of the console knows."""

    def __init__(self, url: str, reason: str) -> None:
        self.what = f"{url} did not answer as a Ranvier API does."
        self.why = reason
        self.next_step = "Check RANVIER_URL, and that console and appliance have the same version."
        super().__init__(self.what)
