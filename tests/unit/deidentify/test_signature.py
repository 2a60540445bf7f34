import secrets
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.deidentify.command import main
from appliance.deidentify.passport import Passport
from appliance.deidentify.run import passport_path, run
from appliance.deidentify.signature import is_genuine, public_key
from appliance.keys import load_keys
from tests.unit.deidentify.planted import a_request, an_instance, quiet


@pytest.fixture
def home(tmp_path: Path) -> Path:
    load_keys(tmp_path / "home" / "keys" / "root.key", create=True)
    return tmp_path / "home"


@pytest.fixture
def out(home: Path, tmp_path: Path) -> Path:
    """A de-identified folder with its signed passport beside it."""
    request = a_request([an_instance(tmp_path / "in.dcm")], tmp_path / "out")
    seed = load_keys(home / "keys" / "root.key").derive("passport").hex()
    run(msgspec.structs.replace(request, signing_seed=seed), quiet)
    return tmp_path / "out"


def test_a_signed_passport_is_genuine_for_its_key_alone(home: Path, out: Path) -> None:
    """DEID-09: the proof can be checked by one command, and by anybody who has the public key."""
    passport = msgspec.json.decode(passport_path(out).read_bytes(), type=Passport)
    assert is_genuine(passport, passport.public_key)
    assert not is_genuine(passport, public_key(secrets.token_bytes(32)))
    assert main(["verify", str(passport_path(out)), str(out)], home=home) == 0
    assert main(["verify", str(passport_path(out)), "--key", passport.public_key], home=Path("/nowhere")) == 0


def test_every_changed_field_breaks_the_signature(out: Path) -> None:
    passport = msgspec.json.decode(passport_path(out).read_bytes(), type=Passport)
    changes: list[dict[str, Any]] = [
        {"order": "x"},
        {"profile": "safe-harbor"},
        {"files": []},
        {"notes": []},
        {"settings": {"a": 1}},
    ]
    for change in changes:
        changed: Passport = msgspec.structs.replace(passport, **change)
        assert not is_genuine(changed, passport.public_key), change


def test_a_changed_file_or_an_unsigned_passport_fails_the_command(
    home: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = next(out.rglob("*.dcm"))
    first.write_bytes(first.read_bytes()[:-1] + b"\1")
    assert main(["verify", str(passport_path(out)), str(out)], home=home) == 1
    assert "another content" in capsys.readouterr().out
    passport_path(out).write_bytes(passport_path(out).read_bytes().replace(b'"signature": "', b'"signature": "00'))
    assert main(["verify", str(passport_path(out))], home=home) == 1
    assert main(["verify", str(out / "none.json")], home=home) == 66
