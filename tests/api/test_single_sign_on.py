"""Single sign-on over HTTP with a real identity provider (SimpleSAMLphp): UI-07, UI-08, PC-37, PC-38."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest

from api.routes.saml import BROWSER
from appliance import certificates, settings
from appliance.access import saml
from appliance.access.accounts import create_user
from appliance.house import House
from appliance.moments import now_ms
from appliance.records import audit, single_use, users
from tests.api.conftest import PASSWORD, Door
from tests.identity import IdentityProvider, Posted, a_simplesamlphp

BASE = "https://ranvier.test:3001"


@dataclass(frozen=True)
class Known:
    """An identity provider that knows us by a certificate."""

    idp: IdentityProvider
    pem: str


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    """One for all tests of this file."""
    folder = tmp_path_factory.mktemp("idp")
    certificate, key = certificates.signing_pair(folder / "saml.pem", "ranvier", now=now_ms())
    with a_simplesamlphp(folder / "php", BASE, certificate, {"ranvier": {}}) as idp:
        yield Known(idp, key + certificate)


async def change(house: House, **fields: Any) -> None:
    """Saves fields of the section."""
    loaded = await house.settings()
    result, changed = settings.patched(loaded.settings, {"saml": fields})
    await house.save(result, based_on=loaded.version, actor="test", now=now_ms(), changed=changed)


class Site:
    """The app as a browser meets it, and the identity provider beside it."""

    def __init__(self, door: Door, idp: IdentityProvider) -> None:
        self.door, self.idp = door, idp

    async def get(self, path: str, address: str = "192.0.2.7", base: str = BASE, **sent: Any) -> httpx.Response:
        """A GET of somebody at that address."""
        return await self.ask("GET", path, address, base, **sent)

    async def ask(self, method: str, path: str, address: str = "192.0.2.7", base: str = BASE, **sent: Any) -> httpx.Response:
        """A request of somebody at that address."""
        transport = httpx.ASGITransport(app=self.door.app, client=(address, 5000))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            return await client.request(method, path, **sent)

    async def begin(self, place: str = "") -> tuple[str, str]:
        """Our redirect to the identity provider, and the cookie that came with it."""
        answer = await self.get(f"/api/saml/login?next={quote(place, safe='')}")
        assert answer.status_code == 303, answer.text
        cookie = SimpleCookie(answer.headers["set-cookie"])[BROWSER]
        assert (cookie["httponly"], cookie["secure"], cookie["samesite"]) == (True, True, "none")
        return answer.headers["location"], cookie.value

    async def post(self, posted: Posted, cookie: str, **more: str) -> httpx.Response:
        """The identity provider's page posts its answer."""
        headers = {"Origin": self.idp.url.rstrip("/"), "Sec-Fetch-Site": "cross-site", "Cookie": f"{BROWSER}={cookie}"}
        return await self.ask("POST", urlsplit(posted.url).path, data={**posted.fields, **more}, headers=headers)

    async def sign_in(self, user: str, place: str = "", browser: httpx.Client | None = None) -> httpx.Response:
        """All of it."""
        url, cookie = await self.begin(place)
        return await self.post(await asyncio.to_thread(self.idp.sign_in, url, user, browser), cookie)

    async def me(self, answer: httpx.Response) -> httpx.Response:
        """Who the session of an answer is."""
        return await self.get("/api/me", headers={"Cookie": f"ranvier_session={session_of(answer)}"})


def session_of(answer: httpx.Response) -> str:
    """The session cookie of an answer."""
    for line in answer.headers.get_list("set-cookie"):
        found = SimpleCookie(line).get("ranvier_session")
        if found is not None:
            assert (found["httponly"], found["secure"], found["samesite"]) == (True, True, "strict")
            return found.value
    raise AssertionError(answer.text)


@pytest.fixture
async def site(door: Door, known: Known) -> Site:
    """Single sign-on set up and in force."""
    (door.house.home / "keys" / "saml.pem").write_text(known.pem)
    await change(door.house, **known.idp.settings, enabled=True, mode="both", sp_base_url=BASE, admin_group="ranvier-admins")
    return Site(door, known.idp)


async def noted() -> list[tuple[str, str, str, str]]:
    return [(row.actor, row.action, row.target, row.result) async for row in audit.in_order() if row.action.startswith("sign")]


async def test_somebody_signs_in_and_is_who_the_identity_provider_says(site: Site) -> None:
    """UI-07: SP-initiated; UI-08: admin group, else user."""
    anna = await site.sign_in("anna", "/docs")
    assert anna.status_code == 200
    assert 'content="0;url=/docs"' in anna.text
    assert (await site.me(anna)).json() | {"expires_at": ""} == {
        "user": "saml:anna@hospital.example",
        "role": "admin",
        "expires_at": "",
    }
    ben = await site.sign_in("ben")
    assert (await site.me(ben)).json()["user"] == "saml:ben@hospital.example"
    assert (await site.me(ben)).json()["role"] == "user"
    assert await noted() == [
        ("saml:anna@hospital.example", "sign-in", "saml", "done"),
        ("saml:ben@hospital.example", "sign-in", "saml", "done"),
    ]
    told = [row.detail.partition(",")[0] async for row in audit.in_order() if row.action == "sign-in"]
    assert told == ["role admin", "role user"], "the audit says which role the groups gave"
    again = await site.sign_in("ben")
    assert (await site.me(ben)).status_code == (await site.me(again)).status_code == 200
    assert len(await users.everybody()) == 2


async def test_groups_decide_who_may_and_as_what(site: Site) -> None:
    """UI-08: User Group set: only its members; Admin Group empty: nobody is admin by SAML."""
    anna = await site.sign_in("anna")
    assert (await site.me(anna)).json()["role"] == "admin"
    await change(site.door.house, user_group="radiology")
    assert (await site.me(anna)).status_code == 401
    carl = await site.sign_in("carl")
    assert (carl.status_code, "no group of yours may use this appliance" in carl.text) == (403, True)
    assert "set-cookie" not in carl.headers
    assert (await site.me(await site.sign_in("ben"))).json()["role"] == "user"
    await change(site.door.house, user_group="", admin_group="")
    for user in ("anna", "carl"):
        assert (await site.me(await site.sign_in(user))).json()["role"] == "user"
    assert (await noted())[1] == ("unknown", "sign-in", "saml", "saml-no-group")


async def test_a_new_role_ends_the_sessions_of_the_old_one(site: Site) -> None:
    anna = await site.sign_in("anna")
    await site.door.house.records.run("UPDATE users SET role = 'user' WHERE name = 'saml:anna@hospital.example'")
    await site.sign_in("anna")
    assert (await site.me(anna)).status_code == 401
    await site.door.house.records.run("UPDATE users SET disabled = {}", True)
    assert (await site.sign_in("anna")).status_code == 403


async def test_a_response_counts_once(site: Site) -> None:
    """One-use requests and one-use assertions: the toolkit itself takes replays."""
    url, cookie = await site.begin()
    posted = await asyncio.to_thread(site.idp.sign_in, url, "ben")
    kept = await site.door.house.records.run("SELECT * FROM single_use WHERE kind = 'saml-request'")
    assert (await site.post(posted, cookie)).status_code == 200
    second = await site.post(posted, cookie)
    assert (second.status_code, "no request that is open" in second.text) == (403, True)
    # Even if the request were open again, the assertion is used up.
    await single_use.put("saml-request", kept[0]["key"], kept[0]["until"], kept[0]["body"])
    third = await site.post(posted, cookie)
    assert (third.status_code, "it was used before" in third.text) == (403, True)
    details = [row.detail async for row in audit.in_order() if row.result == "saml-refused"]
    assert details == ["request", "replayed"]


async def test_two_that_post_the_same_at_once_open_one_session(site: Site) -> None:
    url, cookie = await site.begin()
    posted = await asyncio.to_thread(site.idp.sign_in, url, "ben")
    answers = await asyncio.gather(*(site.post(posted, cookie) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 403, 403, 403]


async def test_an_answer_counts_for_the_browser_that_asked_only(site: Site) -> None:
    """Login CSRF: an attacker's own answer in a victim's browser, and a stolen answer."""
    url, _ = await site.begin()
    posted = await asyncio.to_thread(site.idp.sign_in, url, "ben")
    answer = await site.post(posted, "another-browser")
    assert (answer.status_code, "another browser began" in answer.text) == (403, True)


async def test_a_request_that_waited_too_long_or_under_other_settings_is_over(site: Site) -> None:
    url, cookie = await site.begin()
    posted = await asyncio.to_thread(site.idp.sign_in, url, "ben")
    await site.door.house.records.run("UPDATE single_use SET until = {}", now_ms() - 1)
    assert (await site.post(posted, cookie)).status_code == 403
    url, cookie = await site.begin()
    posted = await asyncio.to_thread(site.idp.sign_in, url, "ben")
    await change(site.door.house, admin_group="others")
    assert "settings of single sign-on were changed" in (await site.post(posted, cookie)).text


FOREIGN = [
    "https://evil.example/",
    "//evil.example",
    "/\\evil.example",
    "javascript:alert(1)",
    "/a?b=//evil",
    "/docs\r\nX: y",
    "",
]


@pytest.mark.parametrize("place", FOREIGN)
def test_nobody_is_sent_on_to_a_foreign_page(place: str) -> None:
    assert saml.safe_place(place) == ""


async def test_the_relay_state_leads_nowhere(site: Site) -> None:
    """RelayState redirect."""
    url, cookie = await site.begin("https://evil.example/")
    posted = await asyncio.to_thread(site.idp.sign_in, url, "ben")
    answer = await site.post(posted, cookie, RelayState="https://evil.example/")
    assert answer.status_code == 200
    assert "evil" not in answer.text
    assert "location" not in answer.headers


async def test_sessions_end_when_the_settings_change(site: Site) -> None:
    """UI-07: sessions void when the configuration changes."""
    ben = await site.sign_in("ben")
    local = (await site.door.cookie("admin"))[1]
    assert (await site.me(ben)).status_code == 200
    await change(site.door.house, require_signed_assertions=False)
    assert (await site.me(ben)).status_code == 401
    headers = {"Cookie": f"ranvier_session={local}"}
    assert (await site.get("/api/me", headers=headers)).status_code == 200
    await change(site.door.house, mode="saml")
    assert (await site.get("/api/me", headers=headers)).status_code == 401


async def test_without_passwords_only_the_console_of_the_machine_itself_takes_one(site: Site) -> None:
    """PC-38, UI-07: SAML only, with a break-glass."""
    await create_user("meyer", "admin", PASSWORD, now_ms())
    await create_user("smith", "user", PASSWORD, now_ms())
    await change(site.door.house, mode="saml")
    right = {"user": "meyer", "password": PASSWORD}

    async def login(address: str, given: dict[str, str] = right, **headers: str) -> tuple[int, str]:
        answer = await site.ask("POST", "/api/login", address, json=given, headers=headers)
        return answer.status_code, answer.json().get("code", "")

    only = (403, "single-sign-on-only")
    assert await login("192.0.2.7") == only
    assert await login("127.0.0.1", right, **{"X-Forwarded-For": "192.0.2.7"}) == only
    assert await login("127.0.0.1", {"user": "smith", "password": PASSWORD}) == only
    assert await login("127.0.0.1") == (200, "")
    assert (await noted())[-1] == ("meyer", "sign-in", "break-glass", "done")
    ways = {where: (await site.get("/api/sign-in-ways", where)).json() for where in ("192.0.2.7", "127.0.0.1")}
    assert [one["password"] for one in ways.values()] == [False, True]
    assert all(one["single_sign_on_path"] == "/api/saml/login" for one in ways.values())
    await change(site.door.house, break_glass=False)
    assert await login("127.0.0.1") == only
    assert (await site.me(await site.sign_in("anna"))).json()["role"] == "admin"


async def test_plain_http_is_refused_but_on_the_machine_itself(site: Site) -> None:
    """UI-07."""
    answer = await site.get("/api/saml/login", base="http://ranvier.test:3001")
    assert (answer.status_code, "refused over plain HTTP" in answer.text) == (403, True)
    assert (await site.get("/api/saml/login", "127.0.0.1", base="http://localhost:3001")).status_code == 303
    with pytest.raises(settings.SettingsRefused, match="must begin with https"):
        await change(site.door.house, sp_base_url="http://ranvier.hospital.example")


async def test_answers_of_one_address_are_limited(site: Site) -> None:
    """UI-07: 20 a minute."""
    answers = [await site.ask("POST", "/api/saml/acs", data={"SAMLResponse": "AAAA"}) for _ in range(21)]
    assert [answer.status_code for answer in answers] == [403] * 20 + [429]


async def test_the_console_is_signed_in_with_a_code_from_the_browser(site: Site) -> None:
    """A terminal cannot follow a redirect: it gets a code, once and for three minutes."""
    answer = await site.sign_in("ben", "console")
    code = next(line for line in answer.text.replace("</p>", "\n").replace("<p>", "\n").splitlines() if line.count("-") == 2)
    assert (await site.ask("POST", "/api/login/code", json={"code": "AAAA-BBBB-CCCC"})).status_code == 401
    console = await site.ask("POST", "/api/login/code", json={"code": code.lower()})
    assert console.json()["user"] == "saml:ben@hospital.example"
    assert (await site.me(console)).status_code == 200
    assert (await site.ask("POST", "/api/login/code", json={"code": code})).status_code == 401
    await change(site.door.house, user_group="radiology")
    assert (await site.me(console)).status_code == 401


async def _at_the_idp(browser: httpx.Client, url: str) -> str:
    """Follows redirects at the identity provider until one leads to us, or to its own last page."""

    def walk() -> str:
        place = url
        for _ in range(12):
            answer = browser.get(place, follow_redirects=False)
            if not answer.is_redirect:
                return str(answer.url)
            place = str(answer.next_request.url) if answer.next_request else ""
            if place.startswith(BASE):
                return place
        raise AssertionError(place)

    return await asyncio.to_thread(walk)


async def test_signing_out_here_signs_out_there(site: Site) -> None:
    """UI-07: SLO, begun by us."""
    with site.idp.browser() as browser:
        ben = await site.sign_in("ben", browser=browser)
        headers = {"Cookie": f"ranvier_session={session_of(ben)}", "X-Ranvier": "page"}
        left = await site.ask("POST", "/api/saml/logout", headers=headers)
        assert left.status_code == 200
        assert (await site.me(ben)).status_code == 401
        back = await _at_the_idp(browser, left.json()["url"])
        assert back.startswith(f"{BASE}/api/saml/sls?SAMLResponse=")
        heard = await site.get(back.removeprefix(BASE))
        assert (heard.status_code, "You are signed out." in heard.text) == (200, True)
        assert (await site.get(back.removeprefix(BASE))).status_code == 403, "an answer counts once"
        url, _ = await site.begin()
        assert "AuthState" in (await asyncio.to_thread(browser.get, url)).text, "it asks for the password again"


async def test_signing_out_there_signs_out_here(site: Site) -> None:
    """UI-07: SLO, begun by the identity provider; forged, unsigned and repeated requests end nothing."""
    with site.idp.browser() as browser:
        ben, anna = await site.sign_in("ben", browser=browser), await site.sign_in("anna")
        asked = await _at_the_idp(browser, f"{site.idp.url}saml2/idp/initSLO.php?RelayState={quote(site.idp.url)}")
        path, query = asked.removeprefix(BASE).split("?", 1)
        assert path == "/api/saml/sls"
        parts = dict(part.split("=", 1) for part in query.split("&"))
        forged = [
            {name: value for name, value in parts.items() if name not in ("Signature", "SigAlg")},
            {**parts, "Signature": "AAAA"},
            {**parts, "SigAlg": quote("http://www.w3.org/2000/09/xmldsig#rsa-sha1", safe="")},
            {**parts, "RelayState": "changed"},
            {**parts, "SAMLRequest": parts["SAMLRequest"][:-8]},
        ]
        for one in forged:
            answer = await site.get(f"{path}?" + "&".join(f"{name}={value}" for name, value in one.items()))
            assert answer.status_code == 403, one
        assert (await site.get(f"{path}?{query}&SAMLRequest=AAAA")).status_code == 403
        assert (await site.me(ben)).status_code == 200
        answer = await site.get(f"{path}?{query}")
        assert answer.status_code == 303
        assert (await site.me(ben)).status_code == 401
        assert (await site.me(anna)).status_code == 200, "somebody else's session goes on"
        assert (await site.get(f"{path}?{query}")).status_code == 403, "a request counts once"
        last = await _at_the_idp(browser, answer.headers["location"])
        assert "error" not in last


async def test_our_metadata_and_theirs(site: Site, known: Known) -> None:
    """PC-37: SP metadata; IdP metadata by URL and pasted."""
    ours = await site.get("/api/saml/metadata")
    assert ours.headers["content-type"].startswith("application/samlmetadata+xml")
    for wanted in (f"{BASE}/api/saml/acs", f"{BASE}/api/saml/sls", 'entityID="ranvier"', "X509Certificate"):
        assert wanted in ours.text
    assert "PRIVATE KEY" not in ours.text
    theirs = (await asyncio.to_thread(httpx.get, known.idp.entity_id)).text
    pasted = await site.door.call("admin", "POST", "/api/saml/read-metadata", json={"metadata": theirs})
    expected = known.idp.settings
    assert pasted.json()["ok"]
    assert {name: value for name, value in pasted.json()["values"].items() if name != "idp_certificate"} == {
        name: value for name, value in expected.items() if name != "idp_certificate"
    }
    form = {"idp_metadata_url": known.idp.entity_id, "own_machine": True}
    fetched = await site.door.call("admin", "POST", "/api/settings/test/saml", json=form)
    assert fetched.json()["ok"], fetched.json()
    assert fetched.json()["values"] == pasted.json()["values"]
    guarded = await site.door.call("admin", "POST", "/api/settings/test/saml", json={**form, "own_machine": False})
    assert (guarded.json()["ok"], "this machine itself" in guarded.json()["lines"][0]) == (False, True)
    await change(site.door.house, idp_certificate=pasted.json()["values"]["idp_certificate"])
    assert (await site.sign_in("ben")).status_code == 200


async def test_what_could_not_work_cannot_be_switched_on(door: Door) -> None:
    """UI-07: the certificate is validated on save."""
    with pytest.raises(settings.SettingsRefused) as caught:
        await change(door.house, enabled=True, mode="both")
    assert {one.field for one in caught.value.problems} == {
        f"saml.{name}" for name in ("idp_entity_id", "idp_sso_url", "idp_certificate", "sp_base_url")
    }
    with pytest.raises(settings.SettingsRefused, match="no certificate"):
        await change(door.house, idp_certificate="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")
    answers = [await door.call("", "GET", path) for path in ("/api/saml/login", "/api/saml/metadata")]
    assert [answer.status_code for answer in answers] == [409, 409]
    ways = (await door.call("", "GET", "/api/sign-in-ways")).json()
    assert ways == {"password": True, "single_sign_on": False, "single_sign_on_path": ""}


async def test_an_account_of_the_identity_provider_gets_no_password_here(site: Site) -> None:
    await site.sign_in("ben")
    answer = await site.door.call("admin", "POST", "/api/users/saml:ben@hospital.example/password", json={"password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (409, "account-elsewhere")


async def test_the_key_that_we_sign_with_is_made_once_and_kept_from_others(door: Door) -> None:
    """The signing certificate of the SP is generated."""
    await change(door.house, sp_base_url=BASE)
    first = (await door.call("", "GET", "/api/saml/metadata")).text
    file: Path = door.house.home / "keys" / "saml.pem"
    assert file.stat().st_mode & 0o077 == 0
    assert (await door.call("", "GET", "/api/saml/metadata")).text == first
