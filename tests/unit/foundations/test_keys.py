"""One root key, derived by purpose; sealed values, digests, and the wrap for a backup."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.keys import KEY_BYTES, Keys, RootKeyMissing, SealBroken, load_keys

ROOT = bytes(range(KEY_BYTES))


@given(plain=st.binary(max_size=300), context=st.text(max_size=40))
def test_what_was_sealed_opens_again(plain: bytes, context: str) -> None:
    keys = Keys(ROOT)
    assert keys.open("settings", keys.seal("settings", plain, context), context) == plain


def test_a_sealed_value_opens_under_its_own_purpose_context_and_key_only() -> None:
    keys = Keys(ROOT)
    sealed = keys.seal("settings", b"a password", "row 1")
    damaged = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for holder, purpose, value, context in [
        (keys, "identities", sealed, "row 1"),
        (keys, "settings", sealed, "row 2"),
        (keys, "settings", damaged, "row 1"),
        (keys, "settings", sealed[:20], "row 1"),
        (Keys(bytes(KEY_BYTES)), "settings", sealed, "row 1"),
    ]:
        with pytest.raises(SealBroken):
            holder.open(purpose, value, context)


def test_sealing_twice_gives_two_values_without_the_plain_text() -> None:
    keys = Keys(ROOT)
    first, second = (keys.seal("settings", b"a password", "row") for _ in range(2))
    assert first != second
    assert b"password" not in first + second


def test_keys_of_two_purposes_are_unrelated_and_stable() -> None:
    keys = Keys(ROOT)
    assert keys.derive("sessions") != keys.derive("settings")
    assert keys.derive("sessions") == Keys(ROOT).derive("sessions")
    assert ROOT not in keys.derive("sessions") + keys.derive("settings")


def test_a_digest_matches_equal_texts_of_one_purpose_under_one_key() -> None:
    keys = Keys(ROOT)
    assert keys.digest("patient", "4711") == keys.digest("patient", "4711")
    assert (
        len({keys.digest("patient", "4711"), keys.digest("uid", "4711"), Keys(bytes(KEY_BYTES)).digest("patient", "4711")}) == 3
    )
    assert len(keys.digest("patient", "4711")) == 32


def test_the_wrapped_key_opens_with_its_passphrase_only() -> None:
    wrapped = Keys(ROOT).wrap("correct horse battery")
    assert ROOT not in wrapped
    assert Keys.unwrap(wrapped, "correct horse battery").derive("settings") == Keys(ROOT).derive("settings")
    with pytest.raises(SealBroken):
        Keys.unwrap(wrapped, "correct horse batterz")


def test_a_root_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "root.key"
    made = load_keys(path, create=True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert len(path.read_bytes()) == KEY_BYTES
    assert load_keys(path, create=True).derive("x") == load_keys(path).derive("x") == made.derive("x")
    assert [file.name for file in path.parent.iterdir()] == ["root.key"]


def test_a_missing_or_cut_root_key_is_named_so(tmp_path: Path) -> None:
    with pytest.raises(RootKeyMissing):
        load_keys(tmp_path / "root.key")
    (tmp_path / "root.key").write_bytes(b"too short")
    with pytest.raises(RootKeyMissing):
        load_keys(tmp_path / "root.key")


LOAD = """
import sys
from pathlib import Path
from appliance.keys import load_keys

sys.stdin.readline()
print(load_keys(Path(sys.argv[1]), create=True).derive("test").hex())
"""


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "root.key"
    argv = [sys.executable, "-c", LOAD, str(path)]
    started = [subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in started:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = {process.communicate(timeout=60)[0].strip() for process in started}
    assert answers == {Keys(path.read_bytes()).derive("test").hex()}
