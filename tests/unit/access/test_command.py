import io
from pathlib import Path

import pytest

from appliance.access import command
from appliance.access.accounts import NameTaken
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
