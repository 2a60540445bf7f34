import secrets
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.deidentify.command import main
from appliance.deidentify.passport import Passport, Source
from appliance.deidentify.run import passport_path, run
from appliance.deidentify.signature import is_genuine, public_key
from appliance.keys import load_keys
from tests.unit.deidentify.planted import a_request, an_instance, quiet

_EARLIER = (
    b'{"order":"01920000-0000-7000-8000-000000000001","profile":"basic","profile_version":"1","instances":1,"files":[{"path":"a/b.dcm","bytes":3,"sha256":"ab"}],'
    b'"residues":[],"actions":{"kept":1},"notes":[],"date_offset_applied":false,"settings":{},'
    b'"masked":[],"public_key":"6d499a990ce13b10321d576e6081f35f0b931d31a935e72385ff57b8f3710bd7",'
    b'"signature":"55cf01aa2b2d22819cec972f2d4f0320a661fc947ecb08b2ce8277169eabf161b9f265bdda9d00c9200417086f3a72df7350ffad3542f481e9b27098c5d5d108"}'
)


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


def test_the_passport_says_how_many_instances_of_how_many_came_and_signs_it(tmp_path: Path) -> None:
    """REC-10: the figure stands in the passport, and nobody can better it afterwards."""
    request = a_request([an_instance(tmp_path / "in.dcm")], tmp_path / "out")
    asked = msgspec.structs.replace(request, signing_seed=secrets.token_hex(32), source=Source(expected=3, held=1))
    passport = run(asked, quiet).passport
    again = msgspec.json.decode(passport_path(tmp_path / "out").read_bytes(), type=Passport)
    assert isinstance(again.source, Source)
    assert again.source.words == "1 of 3 instances, 2 missing"
    assert Source(expected=312, held=312).words == "312 of 312 instances"
    assert "could not say" in Source(expected=None, held=312).words
    assert is_genuine(again, passport.public_key)
    for source in (Source(expected=1, held=1), msgspec.UNSET):
        assert not is_genuine(msgspec.structs.replace(again, source=source), passport.public_key)


def test_a_passport_made_before_sources_were_asked_is_still_genuine() -> None:
    """The document as it was signed then, byte for byte, with a key of that day."""
    assert is_genuine(msgspec.json.decode(_EARLIER, type=Passport), msgspec.json.decode(_EARLIER)["public_key"])


def test_every_changed_field_breaks_the_signature(out: Path) -> None:
    passport = msgspec.json.decode(passport_path(out).read_bytes(), type=Passport)
    changes: list[dict[str, Any]] = [
        {"order": "x"},
        {"profile": "safe-harbor"},
        {"files": []},
        {"notes": []},
        {"settings": {"a": 1}},
        {"source": Source(expected=2, held=2)},
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
