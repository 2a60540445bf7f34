"""The cloud's service account at the prompt (UI-06): always an administrator, its password kept in step with the cloud's.

The password is compared with a stored hash. If that fails, the cloud is asked once whether it is the new one; if so, hash and
stored credential are replaced and the account's other sessions end. The cloud is asked seldom and never twice about the same
wrong password, so that the prompt answers nobody's guesses: whoever is refused is told what every wrong password is told.
"""

import hmac
import logging
from collections import OrderedDict, deque

import msgspec

from appliance import audit
from appliance.access import sessions
from appliance.access.accounts import CLOUD_ACCOUNT
from appliance.access.lockout import Strangers, WrongPassword, refusal
from appliance.access.passwords import MAXIMUM_LENGTH, digest_of_given, matches
from appliance.access.saml_errors import SingleSignOnOnly
from appliance.access.saml_setup import passwords_allowed
from appliance.access.sessions import SignedIn
from appliance.cloud.section import CloudSection
from appliance.cloud.token import probe
from appliance.fields import Secret
from appliance.house import House
from appliance.records import users
from appliance.records.users import Account
from appliance.settings import Settings, SettingsRefused, SettingsStale

_LONGEST_NAME = 64
_ASKED_AT_ONCE = 3
_WINDOW_MS = 300_000
_REFUSED = 200

log = logging.getLogger(__name__)


class CloudTries:
    """How often the cloud was asked, and what it has refused already (as keyed digests)."""

    def __init__(self) -> None:
        self._asked_at: deque[int] = deque()
        self._refused: OrderedDict[str, int] = OrderedDict()

    def may_ask(self, digest: str, now: int) -> bool:
        """Whether the cloud may be asked about a password now; counts it if so."""
        while self._asked_at and self._asked_at[0] <= now - _WINDOW_MS:
            self._asked_at.popleft()
        if len(self._asked_at) >= _ASKED_AT_ONCE or self._refused.get(digest, 0) > now - _WINDOW_MS:
            return False
        self._asked_at.append(now)
        return True

    def refused(self, digest: str, now: int) -> None:
        """Remembers that the cloud did not take it."""
        self._refused[digest] = now
        self._refused.move_to_end(digest)
        if len(self._refused) > _REFUSED:
            self._refused.popitem(last=False)


class Prompt(msgspec.Struct, kw_only=True, frozen=True):
    """What somebody typed, and from where."""

    name: str
    password: str
    code: str = ""
    address: str = ""
    here: bool = False
    """Whether they sit at the console of the machine itself."""


async def sign_in(house: House, tries: CloudTries, strangers: Strangers, prompt: Prompt, now: int) -> SignedIn:
    """Opens a session for anybody: the cloud's account as above, everybody else as `sessions.sign_in` does; raises as that."""
    settings = (await house.settings()).settings
    if not passwords_allowed(settings.saml, here=prompt.here):
        raise SingleSignOnOnly()
    signed = await _by_password(house, settings, tries, strangers, prompt, now)
    if not passwords_allowed(settings.saml, here=False) and signed.caller.role != "admin":
        await sessions.sign_out(signed.caller)
        raise SingleSignOnOnly()
    return signed


async def _by_password(
    house: House, settings: Settings, tries: CloudTries, strangers: Strangers, prompt: Prompt, now: int
) -> SignedIn:
    account = await users.by_name(prompt.name)
    named = _names(settings.cloud, prompt.name)
    if account is not None and account.id != CLOUD_ACCOUNT:
        return await _as_usual(house, settings, strangers, prompt, now)
    if not named:
        if account is not None:
            # The settings name another account of the cloud now, or none: this one is nobody any more.
            await _count_stranger(settings, strangers, prompt, now)
        return await _as_usual(house, settings, strangers, prompt, now)
    return await _of_the_cloud(house, settings, account, tries, strangers, prompt, now)


async def _of_the_cloud(
    house: House,
    settings: Settings,
    account: Account | None,
    tries: CloudTries,
    strangers: Strangers,
    prompt: Prompt,
    now: int,
) -> SignedIn:
    try:
        if account is None:
            await _first_time(settings, strangers, prompt, now)
        return await _as_usual(house, settings, strangers, prompt, now)
    except WrongPassword:
        if (account is not None and account.disabled) or not await _cloud_takes(house, settings.cloud, tries, prompt, now):
            raise
    await _replace(house, prompt, now)
    return await _as_usual(house, settings, strangers, prompt, now)


async def _as_usual(house: House, settings: Settings, strangers: Strangers, prompt: Prompt, now: int) -> SignedIn:
    return await sessions.sign_in(
        house.keys,
        settings.access,
        strangers,
        prompt.name,
        prompt.password,
        code=prompt.code,
        address=prompt.address,
        now=now,
    )


def _names(section: CloudSection, name: str) -> bool:
    typed = name.strip().lower()
    return bool(section.api_url and typed) and len(typed) <= _LONGEST_NAME and typed == section.service_user.strip().lower()


async def _first_time(settings: Settings, strangers: Strangers, prompt: Prompt, now: int) -> None:
    """Before there is a hash the stored credential stands for it; raises `WrongPassword` or `Locked` for another password."""
    stored = _credential(settings.cloud).reveal()
    if not stored or not hmac.compare_digest(stored.encode(), prompt.password.encode()):
        await _count_stranger(settings, strangers, prompt, now)
    await users.put(_account(prompt.name, await digest_of_given(prompt.password), now))


async def _count_stranger(settings: Settings, strangers: Strangers, prompt: Prompt, now: int) -> None:
    tries = strangers.count(prompt.name.strip().lower(), settings.access, now)
    await matches("", prompt.password)
    raise refusal(tries, settings.access, now)


async def _cloud_takes(house: House, section: CloudSection, tries: CloudTries, prompt: Prompt, now: int) -> bool:
    if not prompt.password or len(prompt.password) > MAXIMUM_LENGTH:
        return False
    digest = house.keys.digest("cloud-try", prompt.password)
    if not tries.may_ask(digest, now):
        return False
    found = await probe(_with(section, prompt.password))
    if not found.ok:
        tries.refused(digest, now)
        log.info("the cloud does not take the password of the service account, or does not answer")
    return found.ok


def _credential(section: CloudSection) -> Secret:
    return section.service_password if section.protocol == "rest" else section.api_key


def _with(section: CloudSection, password: str) -> CloudSection:
    field = "service_password" if section.protocol == "rest" else "api_key"
    return msgspec.structs.replace(section, **{field: Secret(password)})


def _account(name: str, digest: str, now: int) -> Account:
    return Account(id=CLOUD_ACCOUNT, name=name.strip().lower(), role="admin", password_hash=digest, created_at=now)


async def _replace(house: House, prompt: Prompt, now: int) -> None:
    """The new password in place of the old one: hash, stored credential, sessions, audit."""
    await users.put(_account(prompt.name, await digest_of_given(prompt.password), now))
    result = await _store(house, prompt, now)
    await audit.append(prompt.name.strip().lower(), "service-account.replaced", CLOUD_ACCOUNT, result, prompt.address, now)


async def _store(house: House, prompt: Prompt, now: int) -> str:
    for _ in range(3):
        loaded = await house.settings()
        cloud = _with(loaded.settings.cloud, prompt.password)
        if cloud == loaded.settings.cloud:
            return "done"
        wanted = msgspec.structs.replace(loaded.settings, cloud=cloud)
        changed = ["cloud.service_password" if cloud.protocol == "rest" else "cloud.api_key"]
        try:
            await house.save(wanted, based_on=loaded.version, actor=prompt.name.strip().lower(), now=now, changed=changed)
        except SettingsStale:
            continue
        except SettingsRefused as fault:
            log.error("the new credential is not stored: %s", fault.code, extra={"code": fault.code})
            return fault.code
        return "done"
    return SettingsStale.code
