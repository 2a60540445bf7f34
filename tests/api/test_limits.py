"""How often one caller may call."""

from api.limits import Bucket
from tests.api.conftest import Door


async def test_one_caller_that_calls_without_end_waits_and_the_others_do_not(door: Door) -> None:
    """Rate limits with Retry-After, for each caller by itself."""
    door.app.state.calls = Bucket(3, 60_000)
    answers = [await door.call("user", "GET", "/api/me") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert answers[-1].json()["code"] == "too-many-requests"
    assert (await door.call("admin", "GET", "/api/me")).status_code == 200
    nobody = [await door.call("", "GET", "/health") for _ in range(4)]
    assert [answer.status_code for answer in nobody] == [200, 200, 200, 429]
