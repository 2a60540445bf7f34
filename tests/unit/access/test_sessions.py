import asyncio

import pytest

from appliance.access import sessions
from appliance.access.accounts import NameTaken, create_user, list_users, set_password
from appliance.access.lockout import LONGEST_MS, Locked, Strangers, Tries, WrongPassword, counted
from appliance.access.passwords import WeakPassword
from appliance.access.section import AccessSection
from appliance.access.sessions import HOUR_MS, SignedIn
from appliance.access.tokens import create_token, recognise_token
from appliance.errors import Denied, RanvierError, Unknown
from appliance.keys import Keys
from appliance.records import users
from appliance.records.engine import Records
from appliance.records.tables import ApiToken, User
from tests.unit.access.conftest import NOW

PASSWORD = "Correct-Horse-Battery-1"
MINUTE = 60_000
pytestmark = pytest.mark.usefixtures("records")


@pytest.fixture
def strangers() -> Strangers:
    return Strangers()


class Door:
    """Signs in over and over."""

    def __init__(self, keys: Keys, section: AccessSection) -> None:
        self.keys, self.section, self.strangers = keys, section, Strangers()

    async def sign_in(self, name: str = "meyer", password: str = PASSWORD, now: int = NOW) -> SignedIn:
        return await sessions.sign_in(self.keys, self.section, self.strangers, name, password, address="10.0.0.9", now=now)

    async def refused(self, name: str = "meyer", password: str = "wrong", now: int = NOW) -> Denied:
        with pytest.raises(Denied) as caught:
            await self.sign_in(name, password, now)
        return caught.value


@pytest.fixture
async def door(records: Records, keys: Keys, section: AccessSection) -> Door:
    await create_user("Meyer", "user", PASSWORD, NOW)
    return Door(keys, section)


async def test_the_right_password_opens_a_session_that_the_cookie_names(door: Door) -> None:
    signed = await door.sign_in(" MEYER ")
    found = await sessions.recognise(door.keys, signed.cookie, NOW + 1)
    assert found is not None
    assert (found.name, found.role, found.by) == ("meyer", "user", "session")
    assert found.expires_at == NOW + 8 * HOUR_MS


async def test_a_session_ends_eight_hours_after_its_last_use(door: Door) -> None:
    """UI-06: sessions slide, 8 h idle."""
    signed = await door.sign_in()
    used_at = NOW + 7 * HOUR_MS
    caller = await sessions.recognise(door.keys, signed.cookie, used_at)
    assert caller is not None
    moved = await sessions.slide(door.keys, door.section, caller, used_at)
    assert await sessions.recognise(door.keys, signed.cookie, NOW + 9 * HOUR_MS) is None, "the old cookie ended"
    assert await sessions.recognise(door.keys, moved.cookie, NOW + 9 * HOUR_MS) is not None
    assert await sessions.recognise(door.keys, moved.cookie, used_at + 8 * HOUR_MS) is None


async def test_an_uploader_s_session_ends_an_hour_after_sign_in_however_it_is_used(door: Door) -> None:
    """UI-06: portal sessions are absolute."""
    await create_user("otto", "uploader", PASSWORD, NOW)
    signed = await door.sign_in("otto")
    assert signed.caller.expires_at == NOW + HOUR_MS
    caller = await sessions.recognise(door.keys, signed.cookie, NOW + HOUR_MS - 1000)
    assert caller is not None
    assert not caller.slides
    assert await sessions.recognise(door.keys, signed.cookie, NOW + HOUR_MS) is None


async def test_an_ended_session_stays_ended_whatever_the_cookie_says(door: Door) -> None:
    signed = await door.sign_in()
    await sessions.sign_out(signed.caller)
    assert await sessions.recognise(door.keys, signed.cookie, NOW) is None


async def test_a_new_password_ends_all_sessions_of_the_account(door: Door) -> None:
    one, other = await door.sign_in(), await door.sign_in()
    await set_password("meyer", "Another-Horse-Battery-2")
    for signed in (one, other):
        assert await sessions.recognise(door.keys, signed.cookie, NOW) is None
    assert isinstance(await door.refused(password=PASSWORD), WrongPassword)
    assert await door.sign_in(password="Another-Horse-Battery-2")


async def test_the_answer_counts_the_tries_that_are_left(door: Door) -> None:
    answers = [await door.refused() for _ in range(4)]
    assert [answer.facts["tries_left"] for answer in answers] == [4, 3, 2, 1]


async def test_the_fifth_wrong_password_locks_and_the_right_one_does_not_open(door: Door) -> None:
    """UI-06 and issue 8: lock-out with back-off."""
    for _ in range(4):
        await door.refused()
    assert isinstance(await door.refused(), Locked)
    assert isinstance(await door.refused(password=PASSWORD), Locked)
    assert isinstance(await door.refused(password=PASSWORD, now=NOW + 5 * MINUTE - 1), Locked)
    assert await door.sign_in(now=NOW + 5 * MINUTE + 1)


async def test_a_right_password_forgets_the_wrong_ones(door: Door) -> None:
    for _ in range(4):
        await door.refused()
    await door.sign_in()
    assert (await door.refused()).facts["tries_left"] == 4


def test_each_lock_lasts_twice_as_long_as_the_one_before(section: AccessSection) -> None:
    tries, waits = Tries(), []
    for _ in range(80):
        tries = counted(tries, section, NOW)
        if tries.locked_until:
            waits.append(tries.locked_until - NOW)
    assert waits[:4] == [5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE]
    assert waits[-1] == LONGEST_MS


async def test_unknown_names_answer_like_known_ones(door: Door) -> None:
    for _ in range(7):
        known, unknown = await door.refused("meyer"), await door.refused("nobody")
        assert (known.code, known.what) == (unknown.code, unknown.what)


async def test_tries_at_the_same_time_do_not_exceed_the_limit(door: Door) -> None:
    answers = await asyncio.gather(*(door.sign_in(password=f"guess {n}") for n in range(12)), return_exceptions=True)
    wrong = [one for one in answers if isinstance(one, WrongPassword)]
    locked = [one for one in answers if isinstance(one, Locked)]
    assert len(wrong) == 4
    assert len(locked) == 8


async def test_a_disabled_account_is_nobody(door: Door) -> None:
    signed = await door.sign_in()
    await User.update({User.disabled: True}).where(User.name == "meyer").run()
    assert await sessions.recognise(door.keys, signed.cookie, NOW) is None
    assert isinstance(await door.refused(password=PASSWORD), WrongPassword)


@pytest.mark.parametrize("name", ["", "a", "-x", "ä-user", "a b", "x" * 64, "../x"])
async def test_odd_names_are_refused(name: str) -> None:
    with pytest.raises(RanvierError) as caught:
        await create_user(name, "user", PASSWORD, NOW)
    assert caught.value.code == "bad-name"


async def test_accounts_have_one_name_one_known_role_and_a_strong_password() -> None:
    await create_user("anna", "admin", PASSWORD, NOW)
    with pytest.raises(NameTaken):
        await create_user("ANNA", "user", PASSWORD, NOW)
    with pytest.raises(RanvierError, match="role"):
        await create_user("otto", "root", PASSWORD, NOW)
    with pytest.raises(WeakPassword):
        await create_user("otto", "user", "otto", NOW)
    assert [(one.name, one.role) for one in await list_users()] == [("anna", "admin")]
    with pytest.raises(Unknown):
        await set_password("nobody", PASSWORD)


async def test_a_token_is_known_by_its_digest_until_it_ends_or_is_revoked(keys: Keys) -> None:
    made = await create_token(keys, "his", "service", created_by="admin", now=NOW, expires_at=NOW + HOUR_MS)
    found = await recognise_token(keys, made.secret, NOW)
    assert found is not None
    assert (found.name, found.role, found.by) == ("token:his", "service", "token")
    assert await recognise_token(keys, made.secret, NOW + HOUR_MS) is None
    assert await recognise_token(keys, made.secret + "x", NOW) is None
    rows = await ApiToken.select().run()
    assert made.secret not in str(rows)
    await users.revoke_token(made.token.id)
    assert await recognise_token(keys, made.secret, NOW) is None


async def test_a_token_has_a_known_role_and_known_scopes(keys: Keys) -> None:
    with pytest.raises(RanvierError, match="role"):
        await create_token(keys, "his", "root", created_by="admin", now=NOW)
    with pytest.raises(Unknown):
        await create_token(keys, "his", "service", created_by="admin", now=NOW, scopes=frozenset({"everything"}))
