"""Left and right: a marker painted into the patient's left half of the DICOM pixels lies in the regions called left."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from nibabel.nicom import csareader
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from scipy import ndimage

from appliance.products.dti.convert import convert
from appliance.products.dti.mask import brain_mask
from appliance.products.dti.nifti import Volumes
from appliance.products.dti.series import DiffusionSeries, choose
from appliance.products.dti.tensor import mean_images
from appliance.products.dti_fw.atlas import Image3, installed
from appliance.products.dti_fw.fits import tensor_maps
from appliance.products.dti_fw.register import labels_on, register
from appliance.products.dti_fw.stages import read
from tests.diffusion import install_atlas

_csareader: Any = csareader
_nibabel: Any = nibabel
SERIES = {
    "siemens_e11_mosaic_dwi": "4_DWI_SagAPmosaic",
    "siemens_xa30_enhanced_study": "10_DWI_dir80_PA",
    "philips_achieva_classic_dwi": "601_dti_ax",
    "uih_umr770_study": "12_dti_tra_dir16_PA_rot",
    "canon_galan_classic_dwi": "9000_DTI_PA-ortho",
}
MARKER = 7
UIH_FRAMES = (0x0065, 0x1051)


def _left(corner: Any, directions: Any, spacing: Any, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which pixels of a frame lie in the left half: x of LPS is positive there (PS3.3 C.7.6.2.1.1)."""
    across, down = np.array(directions, float).reshape(2, 3)
    row_mm, column_mm = map(float, spacing)
    row, column = np.indices(shape)
    return np.asarray(float(corner[0]) + column * across[0] * column_mm + row * down[0] * row_mm > 0)


def _mark(dataset: Dataset) -> None:
    """Sets every pixel of the patient's left half to one value, by the dataset's own geometry."""
    pixels = np.array(dataset.pixel_array)
    if "PerFrameFunctionalGroupsSequence" in dataset:
        for frame, groups in zip(pixels, dataset.PerFrameFunctionalGroupsSequence, strict=True):
            place = groups.PlanePositionSequence[0].ImagePositionPatient
            way = groups.PlaneOrientationSequence[0].ImageOrientationPatient
            frame[_left(place, way, groups.PixelMeasuresSequence[0].PixelSpacing, frame.shape)] = MARKER
    elif "MOSAIC" in dataset.ImageType:
        _mark_mosaic(dataset, pixels)
    elif UIH_FRAMES in dataset:
        _mark_grid(dataset, pixels)
    else:
        inside = _left(dataset.ImagePositionPatient, dataset.ImageOrientationPatient, dataset.PixelSpacing, pixels.shape)
        pixels[inside] = MARKER
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian


def _mark_mosaic(dataset: Dataset, pixels: Any) -> None:
    """Tiles of a Siemens mosaic are slices along the normal of its private header; its position is that of the whole sheet."""
    header = _csareader.get_csa_header(dataset)
    count, normal = _csareader.get_n_mosaic(header), np.array(_csareader.get_slice_normal(header))
    side = int(np.ceil(np.sqrt(count)))
    rows, columns = pixels.shape[0] // side, pixels.shape[1] // side
    across, down = np.array(dataset.ImageOrientationPatient, float).reshape(2, 3)
    row_mm, column_mm = map(float, dataset.PixelSpacing)
    corner = np.array(dataset.ImagePositionPatient, float)
    corner += across * column_mm * (pixels.shape[1] - columns) / 2 + down * row_mm * (pixels.shape[0] - rows) / 2
    for tile in range(count):
        place = corner + normal * tile * float(dataset.SpacingBetweenSlices)
        top, left = tile // side * rows, tile % side * columns
        frame = pixels[top : top + rows, left : left + columns]
        frame[_left(place, dataset.ImageOrientationPatient, dataset.PixelSpacing, frame.shape)] = MARKER


def _mark_grid(dataset: Dataset, pixels: Any) -> None:
    """UIH lays its slices out row by row on one sheet, and keeps the place of each in a private sequence."""
    frames = dataset[UIH_FRAMES].value
    rows, columns = map(int, str(dataset[0x0065, 0x1004].value).split("*"))
    across = pixels.shape[1] // columns
    for tile, item in enumerate(frames):
        top, left = tile // across * rows, tile % across * columns
        frame = pixels[top : top + rows, left : left + columns]
        frame[_left(item.ImagePositionPatient, dataset.ImageOrientationPatient, dataset.PixelSpacing, frame.shape)] = MARKER


def _series(folder: Path, work: Path) -> DiffusionSeries:
    convert(folder, work, timeout_s=300)
    return choose(work, 6, 1)[0][0]


@pytest.mark.long
@pytest.mark.needs_data
@pytest.mark.parametrize("vendor", SERIES)
def test_a_marker_on_the_patients_left_lies_in_the_left_regions(real_data: Path, tmp_path: Path, vendor: str) -> None:
    """PRO-03: of five vendors' images, classic, mosaic (sagittal), grid and enhanced: no region is on the other side."""
    source = real_data / vendor / SERIES[vendor]
    (tmp_path / "marked").mkdir()
    for number, file in enumerate(sorted(one for one in source.iterdir() if one.is_file())):
        dataset = pydicom.dcmread(file)
        _mark(dataset)
        dataset.save_as(tmp_path / "marked" / f"{number}.dcm")
    series = _series(source, tmp_path / "work")
    affine, voxel_mm = Volumes(series.image).affine, Volumes(series.image).voxel_mm
    mask = brain_mask(*mean_images(series), voxel_mm)
    fa = tensor_maps(read(series), (series.bvalues, series.bvectors), mask, lambda share: None).fa
    atlas = installed(install_atlas(real_data, tmp_path / "data"))
    assert atlas is not None
    image = Image3(np.where(ndimage.binary_erosion(mask, border_value=1), fa, 0), affine)
    labels = labels_on(image, atlas.labels, register(image, atlas.template))
    marked = _series(tmp_path / "marked", tmp_path / "marked-work")
    assert np.allclose(Volumes(marked.image).affine, affine, atol=1e-3)
    # Compared, not looked for: some scanners' stored values are rescaled on the way.
    before, after = (Volumes(one.image).volume(int(one.used[0])) for one in (series, marked))
    painted = before != after
    sides = {side: [int(number) for number, name in atlas.description.names.items() if name.endswith(side)] for side in "LR"}
    assert len(sides["L"]) == len(sides["R"]) == 21
    # A head need not lie in the scanner's middle; most of a side's regions are far enough from it.
    assert painted[np.isin(labels, sides["L"])].mean() > 0.8
    assert painted[np.isin(labels, sides["R"])].mean() < 0.2


@pytest.mark.needs_data
def test_labels_with_a_wrong_affine_would_be_seen(real_data: Path) -> None:
    """The atlas as some packages ship it has left and right exchanged; its corrected copy has them where RAS has them."""
    folder = real_data / "atlas_mni" / "jhu_and_labels"
    middles = []
    for file in ("JHU-WhiteMatter-labels-1mm.nii.gz", "JHU-WhiteMatter-labels-1mm_affine-corrected.nii.gz"):
        image = _nibabel.load(folder / file)
        place = np.append(np.argwhere(np.asarray(image.dataobj) == 7).mean(axis=0), 1)  # corticospinal tract, right
        middles.append(float((image.affine @ place)[0]))
    assert middles[0] < 0 < middles[1]
