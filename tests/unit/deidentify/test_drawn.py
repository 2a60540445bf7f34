"""Text that is drawn into the pixels: Tesseract really reads, an order is blocked, or the text is gone from the output."""

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom.uid import RLELossless

from appliance.deidentify.errors import BurnedInText, DrawnText, NoReader, NotAnImageInput, NotMaskable
from appliance.deidentify.passport import MaskedRegion
from appliance.deidentify.profile import Profile
from appliance.deidentify.recheck import RecheckRequest
from appliance.deidentify.recheck import run as recheck
from appliance.deidentify.verifier import verify
from tests.unit.deidentify.planted import a_request, an_instance, deidentified, quiet, written

SIDE = 128


def with_pixels(path: Path, text: str, **changes: object) -> Path:
    """An instance with a bright ring like a head, and a text in its corner."""
    an_instance(path, **changes)  # type: ignore[arg-type]
    dataset = pydicom.dcmread(path)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    inside = (rows - 70) ** 2 + (columns - 64) ** 2 < 45**2
    noise = np.random.default_rng(7).normal(0, 25, (SIDE, SIDE))
    image = np.clip(inside * (400 + 60 * np.sin(columns / 5)) + noise, 0, 1200)
    if text:
        letters = Image.new("L", (SIDE, SIDE))
        ImageDraw.Draw(letters).text((3, 3), text, fill=255, font=ImageFont.load_default(size=12))
        image[np.asarray(letters) > 128] = 2000
    dataset.Rows = dataset.Columns = SIDE
    dataset.PixelData = image.astype("<u2").tobytes()
    dataset.save_as(path)
    return path


def test_drawn_text_blocks_an_order_when_the_setting_says_so(tmp_path: Path) -> None:
    """DEID-10: the guard against burned-in text; without it the note of the passport says that nobody looked."""
    clean = with_pixels(tmp_path / "a" / "1.dcm", "", number=1)
    drawn = with_pixels(tmp_path / "a" / "2.dcm", "WOLKENSTEIN\n1944-02-29", number=2)
    with pytest.raises(DrawnText) as held:
        deidentified([clean, drawn], tmp_path / "out", drawn_text="block")
    assert (held.value.facts["instance"], held.value.facts["instances"]) == ("instance-0001", 1)
    assert not (tmp_path / "out").exists() and sorted(one.name for one in tmp_path.iterdir()) == ["a"]
    answer = deidentified([clean], tmp_path / "out", drawn_text="block")
    assert answer.passport.clean and any("OCR" in note for note in answer.passport.notes)
    unlooked = deidentified([drawn], tmp_path / "other")
    assert any("not looked for" in note for note in unlooked.passport.notes)


def test_masked_text_is_gone_and_every_other_pixel_is_the_sources(tmp_path: Path) -> None:
    """DEID-07, DEID-10: pixels stay bit for bit save in the regions that the passport names; then it is verified again."""
    files = [with_pixels(tmp_path / "a" / f"{n}.dcm", "WOLKENSTEIN" if n else "", number=n + 1) for n in range(2)]
    answer = deidentified(files, tmp_path / "out", drawn_text="mask")
    assert answer.passport.residues == [] and {one.instance for one in answer.passport.masked} == {"instance-0001"}
    before, after = (pydicom.dcmread(path).pixel_array for path in (files[1], written(tmp_path / "out")[1]))
    changed = before != after
    inside = np.zeros_like(changed)
    for one in answer.passport.masked:
        inside[one.top : one.bottom, one.left : one.right] = True
    assert changed.any() and not (changed & ~inside).any() and not after[inside].any()
    assert (before[before == 2000].size, after[after == 2000].size) == (np.count_nonzero(before == 2000), 0)
    output = pydicom.dcmread(written(tmp_path / "out")[0])
    assert "113101" in [one.CodeValue for one in output.DeidentificationMethodCodeSequence]
    with pytest.raises(DrawnText):
        deidentified([files[1]], tmp_path / "again", drawn_text="block")


def test_the_verifier_sees_a_mask_that_is_somewhere_else_or_not_black(tmp_path: Path) -> None:
    """DEID-09: masked regions are no licence: outside equal, inside zero, by the verifier's own arithmetic."""
    file = with_pixels(tmp_path / "a.dcm", "WOLKENSTEIN")
    request = a_request([file], tmp_path / "out", drawn_text="mask")
    answer = deidentified([file], tmp_path / "out", drawn_text="mask")
    profile = Profile.of(request.section)
    masked = answer.passport.masked
    assert verify(request, profile, tmp_path / "out", quiet, masked).residues == []
    for wrong in ([], masked[:0] + [_moved(one) for one in masked]):
        found = verify(request, profile, tmp_path / "out", quiet, wrong).residues
        assert {one.rule for one in found} == {"pixel data differs from the source"}
    asked = {name: getattr(request, name) for name in request.__struct_fields__}
    again = recheck(RecheckRequest(**asked, passport=answer.passport, public_key=""), quiet)
    assert (again.residues, again.unchanged, again.genuine) == ([], True, False)


def _moved(one: MaskedRegion) -> MaskedRegion:
    return MaskedRegion(
        instance=one.instance, frame=one.frame, left=one.left, right=one.right, top=one.top + 1, bottom=one.bottom + 1
    )


def test_what_cannot_be_masked_or_read_goes_to_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = with_pixels(tmp_path / "a.dcm", "WOLKENSTEIN")
    dataset = pydicom.dcmread(file)
    dataset.compress(RLELossless)
    dataset.save_as(tmp_path / "b.dcm")
    with pytest.raises(NotMaskable):
        deidentified([tmp_path / "b.dcm"], tmp_path / "out", drawn_text="mask")
    declared = with_pixels(tmp_path / "c.dcm", "", BurnedInAnnotation="YES")
    with pytest.raises(BurnedInText):
        deidentified([declared], tmp_path / "out", drawn_text="mask")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoReader):
        deidentified([file], tmp_path / "out", drawn_text="block")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]},
        {"ImageType": ["ORIGINAL", "PRIMARY", "DOSE_INFO"]},
        {"ConversionType": "WSD"},
        {"ConversionType": "SI"},
        {"Modality": "OT"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11"},
    ],
)
def test_captures_scans_and_documents_never_leave(tmp_path: Path, changes: dict[str, object]) -> None:
    """DEID-08, DEID-10: secondary captures, screen saves, scanned pages, encapsulated PDF, structured reports."""
    file = an_instance(tmp_path / "a.dcm", **changes)  # type: ignore[arg-type]
    for drawn_text in ("declared", "mask"):
        with pytest.raises(NotAnImageInput):
            deidentified([file], tmp_path / "out", drawn_text=drawn_text)


@pytest.mark.parametrize("spelled", ["YES", "Yes", "yes", "Y", "TRUE"])
def test_declared_text_is_refused_in_any_spelling(tmp_path: Path, spelled: str) -> None:
    with pytest.raises(BurnedInText):
        deidentified([an_instance(tmp_path / "a.dcm", BurnedInAnnotation=spelled)], tmp_path / "out")


@pytest.mark.needs_data
def test_real_pixels_with_a_burned_in_name_are_found_though_one_says_there_is_none(real_data: Path, tmp_path: Path) -> None:
    """DEID-10: the answer key's burned-in files, one of which declares NO."""
    folder = real_data / "phi_deidentification"
    for entry in json.loads((folder / "answer_key.json").read_text())["files"]:
        file, out = folder / entry["file"], tmp_path / Path(entry["file"]).stem
        answer = deidentified([file], out, drawn_text="mask")
        assert answer.passport.residues == [] and bool(answer.passport.masked) is entry["burned_in"], entry["file"]
        if entry["burned_in"]:
            after = pydicom.dcmread(written(out)[0]).pixel_array
            before = pydicom.dcmread(file).pixel_array
            # Above the head; the brightest pixel of the head itself is as bright as the letters.
            assert not (after[:35][before[:35] == before.max()]).any(), "a letter is left"
