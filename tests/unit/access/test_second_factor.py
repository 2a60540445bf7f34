"""The second factor: codes of RFC 6238, each once; recovery codes; wrong ones count."""

import base64

import pytest

from appliance.access import second_factor, sessions
from appliance.access.accounts import create_user, get_user
from appliance.access.lockout import Locked, Strangers, WrongPassword
from appliance.access.second_factor import CodeNeeded, HasSecondFactor, NoSecondFactor, WrongCode, code_at
from appliance.access.section import AccessSection
from appliance.access.sessions import SignedIn
from appliance.keys import Keys
from appliance.records import users
from appliance.records.engine import Records
from tests.unit.access.conftest import NOW

PASSWORD = "Correct-Horse-Battery-1"
STEP_MS = 30_000
pytestmark = pytest.mark.usefixtures("records")


@pytest.mark.parametrize(
    ("second", "code"), [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")]
)
def test_codes_are_those_of_the_standard(second: int, code: str) -> None:
    """RFC 6238, appendix B, SHA-1, the last six digits."""
    assert code_at(b"12345678901234567890", second // 30) == code


class Phone:
    """Somebody with an account and an authenticator app."""

    def __init__(self, keys: Keys, section: AccessSection) -> None:
        self.keys, self.section, self.strangers = keys, section, Strangers()
        self.secret = b""
        self.recovery: list[str] = []

    def code(self, now: int) -> str:
        return code_at(self.secret, now // STEP_MS)

    async def enrol(self) -> None:
        account = await get_user("meyer")
        begun = await second_factor.begin(self.keys, account, "gw 01")
        self.secret = base64.b32decode(begun.secret)
        assert begun.uri.startswith("otpauth://totp/gw%2001:meyer?secret=")
        self.recovery = await second_factor.confirm(self.keys, account, self.code(NOW), NOW)

    async def sign_in(self, code: str = "", now: int = NOW, password: str = PASSWORD) -> SignedIn:
        return await sessions.sign_in(
            self.keys, self.section, self.strangers, "meyer", password, address="10.0.0.9", now=now, code=code
        )


@pytest.fixture
async def phone(records: Records, keys: Keys, section: AccessSection) -> Phone:
    await create_user("meyer", "user", PASSWORD, NOW)
    return Phone(keys, section)


async def test_a_secret_that_was_not_confirmed_changes_nothing(phone: Phone) -> None:
    account = await get_user("meyer")
    await second_factor.begin(phone.keys, account, "gw")
    assert (await phone.sign_in()).caller.name == "meyer"
    with pytest.raises(WrongCode):
        await second_factor.confirm(phone.keys, account, "000000", NOW)
    assert not (await second_factor.standing(phone.keys, account)).enabled


async def test_the_password_alone_opens_no_session_any_more(phone: Phone) -> None:
    """UI-06: TOTP second factor as an option."""
    await phone.enrol()
    with pytest.raises(CodeNeeded):
        await phone.sign_in()
    later = NOW + STEP_MS
    assert (await phone.sign_in(phone.code(later), later)).caller.name == "meyer"


async def test_each_code_works_once_and_old_ones_never(phone: Phone) -> None:
    await phone.enrol()
    with pytest.raises(WrongCode):
        await phone.sign_in(phone.code(NOW), NOW)
    later = NOW + 10 * STEP_MS
    await phone.sign_in(phone.code(later), later)
    for code in (phone.code(later), phone.code(later - STEP_MS), phone.code(later - 5 * STEP_MS), "１２３４５６", "12345"):
        with pytest.raises(WrongCode):
            await phone.sign_in(code, later)


async def test_a_clock_may_be_off_by_one_step(phone: Phone) -> None:
    await phone.enrol()
    later = NOW + 10 * STEP_MS
    await phone.sign_in(phone.code(later + STEP_MS), later)


async def test_a_recovery_code_works_once(phone: Phone) -> None:
    await phone.enrol()
    assert len(set(phone.recovery)) == 10
    later = NOW + 10 * STEP_MS
    await phone.sign_in(phone.recovery[3].upper(), later)
    with pytest.raises(WrongCode):
        await phone.sign_in(phone.recovery[3], later)
    assert (await second_factor.standing(phone.keys, await get_user("meyer"))).recovery_left == 9


async def test_wrong_codes_lock_as_wrong_passwords_do_and_asking_for_the_code_does_not(phone: Phone) -> None:
    await phone.enrol()
    later = NOW + 10 * STEP_MS
    for _ in range(8):
        with pytest.raises(CodeNeeded):
            await phone.sign_in("", later)
    for _ in range(5):
        with pytest.raises(WrongCode):
            await phone.sign_in("000000", later)
    with pytest.raises(Locked):
        await phone.sign_in(phone.code(later), later)


async def test_a_wrong_password_says_nothing_about_the_second_factor(phone: Phone) -> None:
    await phone.enrol()
    later = NOW + 10 * STEP_MS
    for code in ("", "000000", phone.code(later)):
        with pytest.raises(WrongPassword):
            await phone.sign_in(code, later, password="wrong")


async def test_neither_secret_nor_recovery_codes_can_be_read_from_the_row(phone: Phone) -> None:
    await phone.enrol()
    account = await get_user("meyer")
    sealed = await users.second_factor(account.id)
    assert phone.secret not in sealed
    assert not any(code.encode() in sealed for code in phone.recovery)


async def test_it_is_begun_again_only_after_it_was_removed(phone: Phone) -> None:
    await phone.enrol()
    account = await get_user("meyer")
    with pytest.raises(HasSecondFactor):
        await second_factor.begin(phone.keys, account, "gw")
    with pytest.raises(NoSecondFactor):
        await second_factor.confirm(phone.keys, account, phone.code(NOW), NOW)
    await second_factor.remove(account.id)
    assert (await phone.sign_in()).caller.name == "meyer"
