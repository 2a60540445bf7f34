"""The small NIfTI reader of quality control says what nibabel says."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from appliance.qc.images.nifti import Volumes, turned

_nibabel: Any = nibabel
KINDS = ("i2", "u2", "i4", "f4", "f8", "u1", "i1")


def an_image(path: Path, version: int, order: str, kind: str, stands: str, seed: int) -> None:
    """A turned image of 5 x 6 x 7 voxels and 3 volumes whose place is stated by `sform`, `qform` or not at all."""
    chance = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3, :3] = np.linalg.qr(chance.normal(size=(3, 3)))[0] * [2.0, 2.5, 3.0]
    affine[:3, 3] = [4.0, -5.0, 6.0]
    made = _nibabel.Nifti1Image if version == 1 else _nibabel.Nifti2Image
    header = made.header_class(endianness=order)
    header.set_data_dtype(np.dtype(order + kind))
    image = made((chance.random((5, 6, 7, 3)) * 100).astype(kind), affine, header)
    image.set_sform(affine if stands == "sform" else None, int(stands == "sform"))
    image.set_qform(affine if stands == "qform" else None, int(stands == "qform"))
    _nibabel.save(image, path)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("stands", ["sform", "qform", "neither"])
def test_every_kind_of_header_is_read_as_nibabel_reads_it(version: int, order: str, stands: str, tmp_path: Path) -> None:
    """QC-02: both versions, both byte orders, every real number, and either way of stating where the voxels are."""
    for seed, kind in enumerate(KINDS):
        path = tmp_path / f"{kind}.nii"
        an_image(path, version, order, kind, stands, seed)
        theirs, ours = _nibabel.load(path), Volumes(path)
        pixels: NDArray[np.float32] = np.asarray(theirs.dataobj, np.float32)
        assert (*ours.grid, ours.count) == pixels.shape
        assert np.allclose(ours.affine[:3, :3], theirs.affine[:3, :3], atol=1e-5)
        assert stands == "neither" or np.allclose(ours.affine, theirs.affine, atol=1e-4)
        for volume in range(ours.count):
            assert np.allclose(ours.volume(volume), pixels[..., volume])
        straight = _nibabel.apply_orientation(pixels[..., 0], _nibabel.io_orientation(theirs.affine))
        assert np.array_equal(turned(pixels[..., 0], ours.affine), straight)


def test_scaling_is_applied_and_what_is_no_number_is_nothing(tmp_path: Path) -> None:
    pixels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    image = _nibabel.Nifti1Image(pixels, np.eye(4))
    image.header.set_slope_inter(0.5, 10)
    _nibabel.save(image, tmp_path / "scaled.nii")
    assert np.allclose(Volumes(tmp_path / "scaled.nii").volume(0), _nibabel.load(tmp_path / "scaled.nii").get_fdata())
    broken = np.array([[[np.nan, np.inf, 2.0]]], np.float32)
    _nibabel.save(_nibabel.Nifti1Image(broken, np.eye(4)), tmp_path / "broken.nii")
    assert Volumes(tmp_path / "broken.nii").volume(0).tolist() == [[[0.0, 0.0, 2.0]]]


@pytest.mark.parametrize("fault", ["empty", "cut", "text", "complex"])
def test_what_is_no_image_of_numbers_is_refused(fault: str, tmp_path: Path) -> None:
    path = tmp_path / "image.nii"
    kind = np.complex64 if fault == "complex" else np.int16
    _nibabel.save(_nibabel.Nifti1Image(np.ones((4, 4, 4, 2), kind), np.eye(4)), path)
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "cut": whole[:400], "text": b"x" * 600, "complex": whole}[fault])
    with pytest.raises(ValueError, match=r"header|numbers|mmap"):
        Volumes(path)
