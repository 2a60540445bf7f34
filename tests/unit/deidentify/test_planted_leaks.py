"""One identifying value at a time, in every encoding and in every corner of otherwise clean files: the verifier sees each."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom
import pytest

from appliance.deidentify.passport import Residue
from appliance.deidentify.profile import Profile
from appliance.deidentify.verifier import verify
from tests.unit.deidentify.planted import a_request, an_instance, deidentified, quiet, written
from tests.unit.deidentify.test_seeded_leaks import ENCODINGS

VALUES = ("Wolkenstein", "Anne", "PX-88-4417", "Eulenklinik", "Feldspat")


def _in_text(content: bytes, leaked: bytes) -> bytes:
    """Into the value of a description that stays, in place of its first letters."""
    return _into(content, b"\x08\x00\x3e\x10LO", leaked)


def _in_private_text(content: bytes, leaked: bytes) -> bytes:
    return _into(content, b"\x51\x00\x0f\x10LO", leaked)


def _in_an_overlay(content: bytes, leaked: bytes) -> bytes:
    return _before_pixels(content, b"\x00\x60\x22\x00LO", leaked)


def _in_unknown_bytes(content: bytes, leaked: bytes) -> bytes:
    return _before_pixels(content, b"\x11\x70\x01\x10UN\0\0", leaked, wide=True)


def _in_the_preamble(content: bytes, leaked: bytes) -> bytes:
    return leaked[:128].ljust(128, b"\0") + content[128:]


def _behind_the_data_set(content: bytes, leaked: bytes) -> bytes:
    return content + leaked


CORNERS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "text": _in_text,
    "private text": _in_private_text,
    "overlay": _in_an_overlay,
    "unknown bytes": _in_unknown_bytes,
    "preamble": _in_the_preamble,
    "behind the data set": _behind_the_data_set,
}


def _into(content: bytes, head: bytes, leaked: bytes) -> bytes:
    leaked += b" " * (len(leaked) % 2)
    start = content.index(head) + len(head)
    length = int.from_bytes(content[start : start + 2], "little")
    return content[:start] + len(leaked).to_bytes(2, "little") + leaked + content[start + 2 + length :]


def _before_pixels(content: bytes, head: bytes, leaked: bytes, *, wide: bool = False) -> bytes:
    leaked += b" " * (len(leaked) % 2)
    start = content.rindex(b"\xe0\x7f\x10\x00OW")
    return content[:start] + head + len(leaked).to_bytes(4 if wide else 2, "little") + leaked + content[start:]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Source and clean output of one instance."""
    folder = tmp_path_factory.mktemp("planted")
    source = an_instance(folder / "in.dcm")
    assert deidentified([source], folder / "out").passport.residues == []
    return source, written(folder / "out")[0]


def residues(source: Path, output: Path, content: bytes) -> list[Residue]:
    """What the verifier says of the output when it holds something else."""
    clean = output.read_bytes()
    output.write_bytes(content)
    try:
        return verify(a_request([source], output.parents[1]), Profile.of({}), output.parents[1], quiet).residues
    finally:
        output.write_bytes(clean)


def cases() -> Iterator[tuple[str, str]]:
    """Every corner with every encoding."""
    return ((corner, encoding) for corner in CORNERS for encoding in ENCODINGS)


@pytest.mark.parametrize(("corner", "encoding"), cases())
def test_a_leak_in_any_corner_and_any_encoding_is_found(corner: str, encoding: str, study: tuple[Path, Path]) -> None:
    """DEID-09: recall 100 %, value by value; the finding names the place and never the value."""
    source, output = study
    assert residues(source, output, output.read_bytes()) == []
    for value in VALUES:
        found = residues(source, output, CORNERS[corner](output.read_bytes(), ENCODINGS[encoding](value)))
        assert found, value
        if corner in ("text", "private text"):
            assert [one for one in found if one.rule.startswith("identity")], value
        assert not [one for one in found if value.lower() in f"{one.place} {one.rule}".lower()]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_value_inside_a_table_of_numbers_that_stays_is_found(encoding: str, tmp_path: Path) -> None:
    """DEID-09: the engine copies numbers; the verifier reads their bytes as well, so the study does not leave."""
    for number, value in enumerate(VALUES):
        leaked = ENCODINGS[encoding](value)
        source = an_instance(tmp_path / f"{number}.dcm")
        dataset = pydicom.dcmread(source)
        dataset.add_new(0x00283006, "OW", b"\1\0" + leaked + b"\0" * (len(leaked) % 2) + b"\2\0")
        dataset.save_as(source, enforce_file_format=True)
        found = deidentified([source], tmp_path / "out").passport.residues
        assert [(one.place, one.rule) for one in found] == [("(0028,3006)", "identity: bytes")], value


@pytest.mark.parametrize("name", ["Head^Anna", "Long^Peter", "May^Theresa", "Ng^Li", "Kim^Ada", "Siemens^Brain"])
def test_clean_output_of_patients_named_like_the_trade_gives_no_finding(name: str, tmp_path: Path) -> None:
    """DEID-09: 0 false findings on a whole study, in every profile; three letters are looked for as a word."""
    source = an_instance(tmp_path / "in.dcm", PatientName=name, SeriesDescription=f"dti of {name.replace('^', ' ')}")
    for profile in ("safe-harbor-shifted", "safe-harbor", "ps3.15-basic"):
        assert deidentified([source], tmp_path / "out", profile=profile).passport.residues == []
    output = written(tmp_path / "out")[0]
    for part in (one for one in name.split("^") if len(one) >= 3 and one not in ("Head", "Long", "May", "Siemens", "Brain")):
        assert residues(source, output, _in_text(output.read_bytes(), f"dti {part.upper()} 64".encode())), part
