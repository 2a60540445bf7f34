"""The product `dti` on real scanners' studies; the twin without real data is `test_dti_phantom`."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest

from appliance.products.dti.faults import NoBrainFound
from appliance.products.dti.tensor import to_world
from appliance.products.manifest import ProductRequest, ProductResult
from appliance.products.run import run

_nibabel: Any = nibabel

VENDORS = {
    "siemens_e11_mosaic_dwi": (20, 21),
    "siemens_xa30_enhanced_study": (20, 21),
    "philips_achieva_classic_dwi": (15, 16),
    "uih_umr770_study": (16, 17),
    "canon_galan_classic_dwi": (12, 13),
}
"""Folder -> directions and volumes that a tensor can use."""


Computed = Callable[[str], tuple[ProductResult, Path]]


@pytest.fixture(scope="module")
def computed(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Computed:
    """Runs the product on a folder of the real data, once for all tests of this file."""

    @cache
    def compute(folder: str) -> tuple[ProductResult, Path]:
        out_folder = tmp_path_factory.mktemp("dti")
        request = ProductRequest(product="dti", in_folder=str(real_data / folder), out_folder=str(out_folder))
        return run(request, lambda share, step: None), out_folder

    return compute


def _values(result: ProductResult) -> dict[str, float]:
    return {one.name: one.value for one in result.values if one.value is not None}


@pytest.mark.needs_data
@pytest.mark.parametrize("folder", VENDORS)
def test_a_real_brain_gives_plausible_numbers(computed: Computed, folder: str) -> None:
    """PRO-03: directions and volumes are those of the source; FA, MD and brain volume are an adult's."""
    result, _ = computed(folder)
    values = _values(result)
    assert (values["directions"], values["volumes_used"]) == VENDORS[folder]
    assert 0.33 < values["fa_mean_white_matter"] < 0.45
    assert 0.6 < values["md_mean_white_matter"] < 0.85
    assert 0.6 < values["md_median_brain"] < 1.0
    assert values["rd_mean_white_matter"] < values["md_mean_white_matter"] < values["ad_mean_white_matter"]
    assert 1000 < values["volume_brain"] < 1700
    assert 300 < values["volume_white_matter"] < 800
    assert len(result.pictures) == 4


@pytest.mark.needs_data
@pytest.mark.parametrize("folder", VENDORS)
def test_the_corpus_callosum_runs_left_to_right(computed: Computed, folder: str) -> None:
    """The strongest fibres of the middle third of the midline slices lie across: gradient axes are right on every vendor."""
    result, out_folder = computed(folder)
    name = result.maps[0].split("_")[0]
    fa, direction = (_nibabel.load(out_folder / f"{name}_{kind}.nii.gz") for kind in ("fa", "v1"))
    world = np.abs(to_world(np.asarray(direction.dataobj), direction.affine))
    mask = np.asarray(_nibabel.load(out_folder / f"{name}_mask.nii.gz").dataobj) > 0
    positions = np.moveaxis(np.indices(mask.shape), 0, -1) @ fa.affine[:3, :3].T + fa.affine[:3, 3]
    centre = positions[mask].mean(axis=0)
    near = mask & (np.abs(positions - centre) < [6, 45, 35]).all(axis=-1)
    anisotropy = fa.get_fdata()
    strong = near & (anisotropy > np.percentile(anisotropy[near], 95))
    assert np.median(world[strong][:, 0]) > 0.7  # one of the heads is turned by some 35 degrees


@pytest.mark.needs_data
def test_a_trace_volume_of_a_real_philips_series_is_dropped_and_reported(computed: Computed) -> None:
    result, _ = computed("philips_achieva_classic_dwi")
    assert any("1 volume was dropped" in note for note in result.notes)


@pytest.mark.needs_data
def test_maps_that_the_scanner_made_are_not_fitted(computed: Computed) -> None:
    result, _ = computed("siemens_xa30_enhanced_study")
    assert "4 series with maps or other derived images were not used." in result.notes


def scanner_map(folder: Path, grid: tuple[int, ...], affine: Any) -> Any:
    """An enhanced multi-frame map on the grid of our own, every frame placed by its own header."""
    dataset = pydicom.dcmread(next(folder.iterdir()))
    found = np.zeros(grid)
    for frame, groups in zip(dataset.pixel_array, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        corner = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        across, down = np.array(groups.PlaneOrientationSequence[0].ImageOrientationPatient, float).reshape(2, 3)
        row_mm, column_mm = map(float, groups.PixelMeasuresSequence[0].PixelSpacing)
        row, column = np.indices(frame.shape)
        place = corner + column[..., None] * across * column_mm + row[..., None] * down * row_mm
        index = np.rint((place * [-1, -1, 1] - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T).astype(int)
        found[tuple(np.moveaxis(index, -1, 0))] = frame
    return found


@pytest.mark.needs_data
def test_fa_and_md_agree_with_the_scanners_own_maps(real_data: Path, computed: Computed) -> None:
    """PRO-03: correlation with the XA30's FA map at least 0.95, median MD ratio to its ADC map within 2 %.

    The maps' headers leave the unit open (Rescale Type US, slope 1); the vendor stores FA in thousandths and ADC in
    10^-6 mm2/s.
    """
    study = real_data / "siemens_xa30_enhanced_study"
    result, out_folder = computed(study.name)
    name = result.maps[0].split("_")[0]
    fa, md, mask = (_nibabel.load(out_folder / f"{name}_{kind}.nii.gz") for kind in ("fa", "md", "mask"))
    scanner_fa = scanner_map(study / "13_DWI_dir80_PA", fa.shape, fa.affine) / 1000.0
    scanner_md = scanner_map(study / "11_DWI_dir80_PA", fa.shape, fa.affine) * 1e-6
    inside = (np.asarray(mask.dataobj) > 0) & (scanner_fa > 0) & (scanner_md > 0)
    assert inside.sum() > 0.99 * (np.asarray(mask.dataobj) > 0).sum()
    assert np.corrcoef(fa.get_fdata()[inside], scanner_fa[inside])[0, 1] >= 0.95
    assert 0.98 <= np.median(md.get_fdata()[inside] / scanner_md[inside]) <= 1.02
    assert np.median(np.abs(fa.get_fdata() - scanner_fa)[inside]) < 0.02


@pytest.mark.needs_data
def test_a_phantom_of_two_slices_ends_in_no_brain_found(real_data: Path, tmp_path: Path) -> None:
    request = ProductRequest(
        product="dti", in_folder=str(real_data / "ge_pioneer_classic_dwi_phantom"), out_folder=str(tmp_path)
    )
    with pytest.raises(NoBrainFound):
        run(request, lambda share, step: None)
