"""The tensor of `dti-fw` beside the maps that a scanner made of the same series."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from appliance.products.dti.convert import convert
from appliance.products.dti.mask import brain_mask
from appliance.products.dti.nifti import Volumes
from appliance.products.dti.series import choose
from appliance.products.dti.tensor import mean_images
from appliance.products.dti_fw.fits import tensor_maps
from appliance.products.dti_fw.manifest import MANIFEST
from appliance.products.dti_fw.stages import prepare, read
from appliance.products.progress import Steps
from tests.unit.products.test_dti_vendors import scanner_map


def _agreement(real_data: Path, work: Path, *, corrected: bool) -> tuple[float, float]:
    """Correlation of FA with the scanner's map, and median of MD over its ADC."""
    study = real_data / "siemens_xa30_enhanced_study"
    convert(study / "10_DWI_dir80_PA", work, timeout_s=300)
    series = choose(work, 6, 1)[0][0]
    image = Volumes(series.image)
    mask = brain_mask(*mean_images(series), image.voxel_mm)
    pixels, bvectors = read(series), series.bvectors
    if corrected:
        prepared = prepare(series, mask, work, Steps(MANIFEST, lambda share, step: None))
        pixels, bvectors = prepared.pixels, np.array(prepared.motion.bvectors)
    maps = tensor_maps(pixels, (series.bvalues, bvectors), mask, lambda share: None)
    fa = scanner_map(study / "13_DWI_dir80_PA", mask.shape, image.affine) / 1000.0
    md = scanner_map(study / "11_DWI_dir80_PA", mask.shape, image.affine) * 1e-6
    inside = mask & (fa > 0) & (md > 0) & (maps.md > 0)
    return float(np.corrcoef(maps.fa[inside], fa[inside])[0, 1]), float(np.median(maps.md[inside] / md[inside]))


@pytest.mark.needs_data
def test_fa_and_md_of_the_uncorrected_series_are_the_scanners(real_data: Path, tmp_path: Path) -> None:
    """PRO-03: correlation with the XA30's FA map at least 0.96, median MD ratio to its ADC map within 1 %."""
    correlation, ratio = _agreement(real_data, tmp_path, corrected=False)
    assert correlation >= 0.96
    assert 0.99 <= ratio <= 1.01


@pytest.mark.long
@pytest.mark.needs_data
def test_fa_and_md_of_the_corrected_series_are_told_beside_the_scanners(
    real_data: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """PRO-03: the scanner corrects otherwise, so the figures are told and only held to be those of the same brain."""
    correlation, ratio = _agreement(real_data, tmp_path, corrected=True)
    record_property("correlation of FA", round(correlation, 4))
    record_property("median ratio of MD", round(ratio, 4))
    assert correlation > 0.8
    assert 0.9 < ratio < 1.1
