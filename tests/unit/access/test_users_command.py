import asyncio
import io
from pathlib import Path

import pytest

from appliance import audit
from appliance import users_command as command
from appliance.access.accounts import LastAdministrator, NameTaken, RoleElsewhere
from appliance.errors import Unknown
from appliance.records import audit as audit_rows
from appliance.records import users
from tests.unit.access.conftest import NOW

pytestmark = pytest.mark.usefixtures("records")
PASSWORD = "Correct-Horse-Battery-1"


@pytest.fixture
def password_file(tmp_path: Path) -> str:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    return str(file)


async def test_an_account_is_made_with_a_password_from_a_file(password_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await command.run(["create", "anna", "--role", "admin", "--password-file", password_file], now=NOW) == 0
    assert await command.run(["list"], now=NOW) == 0
    said = capsys.readouterr()
    assert said.out == "anna\tadmin\tactive\n"
    assert PASSWORD not in said.err


async def test_a_password_comes_from_a_pipe_too(monkeypatch: pytest.MonkeyPatch, password_file: str) -> None:
    await command.run(["create", "anna", "--password-file", password_file], now=NOW)
    before = await users.by_name("anna")
    monkeypatch.setattr("sys.stdin", io.StringIO("Another-Horse-Battery-2\n"))
    assert await command.run(["reset-password", "anna"], now=NOW) == 0
    after = await users.by_name("anna")
    assert before is not None
    assert after is not None
    assert before.password_hash != after.password_hash


async def test_no_word_takes_a_password_as_an_argument(capsys: pytest.CaptureFixture[str]) -> None:
    assert await command.run(["create", "anna", "--password", PASSWORD], now=NOW) == command.USAGE
    assert await command.run(["create", "anna", PASSWORD], now=NOW) == command.USAGE
    assert await command.run(["--help"], now=NOW) == 0


async def test_a_taken_name_is_an_error_with_words(password_file: str) -> None:
    await command.run(["create", "anna", "--password-file", password_file], now=NOW)
    with pytest.raises(NameTaken):
        await command.run(["create", "anna", "--password-file", password_file], now=NOW)


async def test_whoever_leaves_is_shut_out_and_every_word_is_in_the_audit(
    password_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """UI-10: what is done to accounts on the machine itself stands in the audit as what is done over HTTP, refusals too."""
    for name in ("anna", "otto"):
        await command.run(["create", name, "--role", "admin", "--password-file", password_file], now=NOW)
    made = {one.name: one.id for one in await users.everybody()}
    await users.add_session("s1", made["anna"], "10.0.0.9", NOW, NOW + 1000)
    for words in (["role", "anna", "user"], ["disable", "anna"], ["enable", "anna"], ["sign-out", "anna"]):
        assert await command.run(words, now=NOW) == 0
    found = await users.session_with_account("s1")
    assert found is not None
    assert found[0].revoked
    assert (found[1].role, found[1].disabled) == ("user", False)
    with pytest.raises(LastAdministrator):
        await command.run(["disable", "otto"], now=NOW)
    with pytest.raises(Unknown):
        await command.run(["sign-out", "nobody"], now=NOW)
    rows = [(one.action, one.target, one.result, one.detail) async for one in audit_rows.in_order()]
    assert rows == [
        ("user.create", made["anna"], "done", "role admin"),
        ("user.create", made["otto"], "done", "role admin"),
        ("user.change", made["anna"], "done", "role user"),
        ("user.change", made["anna"], "done", "disable"),
        ("user.change", made["anna"], "done", "enable"),
        ("user.sign-out", made["anna"], "done", ""),
        ("user.change", made["otto"], "last-administrator", "disable"),
        ("user.sign-out", "nobody", "unknown", ""),
    ]
    assert {(one.actor != "", one.origin) async for one in audit_rows.in_order()} == {(True, command.COMMAND_LINE)}
    assert (await audit.verify()).ok
    assert PASSWORD not in capsys.readouterr().err


async def test_a_role_that_the_identity_provider_gives_is_not_changed_here() -> None:
    await users.add(users.Account(id="x", name="saml:anna@h.example", role="user", created_at=NOW))
    with pytest.raises(RoleElsewhere):
        await command.run(["role", "saml:anna@h.example", "admin"], now=NOW)
    assert await command.run(["disable", "saml:anna@h.example"], now=NOW) == 0


async def test_two_administrators_who_take_each_others_role_at_once_leave_one(password_file: str) -> None:
    for name in ("anna", "otto"):
        await command.run(["create", name, "--role", "admin", "--password-file", password_file], now=NOW)
    ended = await asyncio.gather(
        *(command.run(["role", name, "user"], now=NOW) for name in ("anna", "otto")), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in ended) == ["LastAdministrator", "int"]
    assert sorted(one.role for one in await users.everybody()) == ["admin", "user"]
