"""A head of bent fibres as NIfTI, real series converted, and defects to plant into either."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from scipy import ndimage

from appliance.qc.finding import SeriesFile
from appliance.qc.headers import read_study
from appliance.qc.images.check import Look, Seen
from appliance.qc.images.checks import IMAGE_CHECKS
from appliance.qc.images.convert import convert
from appliance.qc.images.scan import read_scan, read_table
from appliance.qc.images.thresholds import thresholds
from appliance.qc.study import Series

_nibabel: Any = nibabel

SHAPE, VOXEL_MM = (48, 52, 26), (4.0, 4.0, 5.0)
CENTRES = [(x, y, z) for x in (-34.0, 34.0) for y in (-42.0, 0.0, 42.0) for z in (-20.0, 20.0)]
RING_MM, TUBE_MM = 17.0, 5.9
"""The fibres of the phantom run in thin rings about these points, each in an oblique plane of its own."""


@dataclass(frozen=True)
class Brain:
    """A series in memory, as a defect is planted into it."""

    pixels: NDArray[np.float32]
    """(x, y, z, volumes)."""
    affine: NDArray[np.float64]
    bvalues: NDArray[np.float64]
    bvectors: NDArray[np.float64]
    series: Series = field(default_factory=lambda: Series(id="ours-1", number=7))
    sidecar: dict[str, Any] = field(default_factory=dict)

    @property
    def weighted(self) -> int:
        """A volume in the middle that is diffusion-weighted."""
        return int(np.flatnonzero(self.bvalues > 50).tolist()[len(self.bvalues) // 2])

    @property
    def middle(self) -> int:
        """The slice in the middle."""
        return int(self.pixels.shape[2]) // 2

    def changed(self, change: Callable[[NDArray[np.float32]], object]) -> "Brain":
        """A copy whose pixels are changed in place."""
        pixels = self.pixels.copy()
        change(pixels)
        return replace(self, pixels=pixels)


def directions(count: int) -> NDArray[np.float64]:
    """Spread over a half sphere."""
    index = np.arange(count)
    height = 1.0 - (index + 0.5) / count
    angle, ring = index * np.pi * (3.0 - np.sqrt(5.0)), np.sqrt(1.0 - height**2)
    return np.stack([ring * np.cos(angle), ring * np.sin(angle), height], axis=1)


def a_brain(count: int = 20, snr: float = 25.0, seed: int = 1) -> Brain:
    """White matter in tubes that are bent into rings, in grey matter, in fluid; a right table in FSL's convention."""
    place = np.stack(np.meshgrid(*(np.arange(size) for size in SHAPE), indexing="ij"), axis=-1) - (np.array(SHAPE) - 1) / 2
    place = place * VOXEL_MM
    radius = np.linalg.norm(place / [62.0, 68.0, 46.0], axis=-1)
    fibres, white = np.zeros(place.shape), np.zeros(SHAPE, bool)
    for centre, unit in zip(CENTRES, directions(len(CENTRES)), strict=True):
        height = (place - centre) @ unit
        outward = place - centre - height[..., None] * unit
        distance = np.linalg.norm(outward, axis=-1)
        tube = np.hypot(distance - RING_MM, height) < TUBE_MM
        fibres[tube] = np.cross(unit, outward / np.maximum(distance, 1e-6)[..., None])[tube]
        white |= tube
    head, brain = radius < 1.0, radius < 0.93
    vectors = np.vstack([np.zeros((1, 3)), directions(count)])
    bvalues = np.array([0.0, *[1000.0] * count])
    chance = np.random.default_rng(seed)
    volumes = []
    for b, vector in zip(bvalues / 1000, vectors, strict=True):
        along = (fibres @ vector) ** 2 * (1.7 - 0.3) + 0.3
        signal = np.where(head, 1700 * np.exp(-b * 2.6), 0.0)
        signal = np.where(brain, 1100 * np.exp(-b * 0.8), signal)
        signal = np.where(white, 800 * np.exp(-b * along), signal)
        noise = chance.normal(scale=800 / snr, size=(2, *SHAPE))
        volumes.append(np.rint(np.hypot(signal + noise[0], noise[1])))
    affine = np.diag([-VOXEL_MM[0], VOXEL_MM[1], VOXEL_MM[2], 1.0])
    affine[:3, 3] = [94.0, -102.0, -62.5]
    return Brain(np.stack(volumes, axis=-1).astype(np.float32), affine, bvalues, vectors)


def a_converted(folder: Path, work: Path) -> Brain:
    """The diffusion series of a folder of DICOM files, as the stage sees it."""
    files = []
    for path in sorted(one for one in folder.rglob("*") if one.is_file() and one.name != "SOURCE.txt"):
        number = dcmread(path, stop_before_pixels=True, specific_tags=["SeriesNumber"]).get("SeriesNumber")
        files.append(SeriesFile(instance=path.stem, series=f"series-{number}", path=str(path)))
    study = read_study(files, lambda _share: None)
    series = study.diffusion_series[0]
    converted = convert([one for one in files if one.series == series.id], work, 600)
    assert converted is not None
    table = read_table(converted.bvalues, converted.bvectors)
    assert table is not None
    image = _nibabel.load(converted.image)
    pixels = np.asarray(image.dataobj, np.float32)
    return Brain(pixels, image.affine, *table, series, converted.sidecar)


def a_nifti(image: Path) -> Brain:
    """A series that lies as NIfTI, its table beside it."""
    plain = image.with_name(image.name.removesuffix(".gz").removesuffix(".nii"))
    table = read_table(Path(f"{plain}.bval"), Path(f"{plain}.bvec"))
    assert table is not None
    loaded = _nibabel.load(image)
    return Brain(np.asarray(loaded.dataobj, np.float32), loaded.affine, *table)


def written(brain: Brain, image: Path) -> None:
    """The image, and the table beside it."""
    _nibabel.save(_nibabel.Nifti1Image(brain.pixels.astype(np.float32), brain.affine), image)
    np.savetxt(image.with_suffix(".bval"), brain.bvalues[None], "%g")
    np.savetxt(image.with_suffix(".bvec"), brain.bvectors.T, "%.6f")


def looked_at(brain: Brain, folder: Path, only: str = "") -> dict[str, Seen]:
    """What every image check, or one, says."""
    folder.mkdir(parents=True, exist_ok=True)
    written(brain, folder / "image.nii")
    look = Look(brain.series, read_scan(folder / "image.nii", brain.bvalues, brain.bvectors), brain.sidecar)
    return {check.name: check.judge(look, thresholds()) for check in IMAGE_CHECKS if only in ("", check.name)}


def repeat_volume(brain: Brain) -> Brain:
    """One volume is another one again."""
    at = brain.weighted
    return brain.changed(lambda pixels: pixels.__setitem__((..., at), pixels[..., at - 1]))


def repeat_slice(brain: Brain) -> Brain:
    """One slice is that of another volume."""
    at, place = brain.weighted, brain.middle
    return brain.changed(lambda pixels: pixels.__setitem__((slice(None), slice(None), place, at), pixels[:, :, place, at - 1]))


def empty_slice(brain: Brain) -> Brain:
    """One slice holds nothing."""
    at, place = brain.weighted, brain.middle
    return brain.changed(lambda pixels: pixels.__setitem__((slice(None), slice(None), place, at), 0))


def dark_slice(brain: Brain) -> Brain:
    """One slice has lost two thirds of its signal."""
    at, place = brain.weighted, brain.middle
    return brain.changed(lambda pixels: pixels[:, :, place, at].__imul__(0.33))


def dark_volume(brain: Brain) -> Brain:
    """One volume has lost three quarters of its signal."""
    at = brain.weighted
    return brain.changed(lambda pixels: pixels[..., at].__imul__(0.25))


def moved(brain: Brain, shift_mm: float = 0.0, degrees: float = 0.0) -> Brain:
    """One volume is shifted along the slice axis, or turned within the plane."""
    at = brain.weighted
    size = np.linalg.norm(brain.affine[:3, :3], axis=0)

    def change(pixels: NDArray[np.float32]) -> None:
        volume = pixels[..., at]
        if shift_mm:
            volume = ndimage.shift(volume, (0, 0, shift_mm / size[2]), order=1, mode="nearest")
        if degrees:
            volume = ndimage.rotate(volume, degrees, axes=(0, 1), reshape=False, order=1, mode="nearest")
        pixels[..., at] = volume

    return brain.changed(change)


def displaced_passes(brain: Brain) -> Brain:
    """Every second slice of one volume is displaced by about 9 mm."""
    at = brain.weighted
    steps = max(2, round(9.0 / float(np.linalg.norm(brain.affine[:3, 0]))))

    def change(pixels: NDArray[np.float32]) -> None:
        pixels[:, :, 1::2, at] = np.roll(pixels[:, :, 1::2, at], steps, axis=0)

    return brain.changed(change)


def darker_pass(brain: Brain) -> Brain:
    """Every second slice of one volume is darker by 30 %."""
    at = brain.weighted
    return brain.changed(lambda pixels: pixels[:, :, 1::2, at].__imul__(0.7))


def noisy(brain: Brain) -> Brain:
    """Noise a third as strong as the signal of the b=0 image."""
    inside = brain.pixels[..., 0] > np.percentile(brain.pixels[..., 0], 80)
    sigma = float(np.median(brain.pixels[..., 0][inside])) / 3
    chance = np.random.default_rng(5).normal(scale=sigma, size=(2, *brain.pixels.shape))
    return replace(brain, pixels=np.hypot(brain.pixels + chance[0], chance[1]).astype(np.float32))


def cut_in_half(brain: Brain) -> Brain:
    """The upper half of the slices was not taken."""
    return replace(brain, pixels=brain.pixels[:, :, : brain.middle])


def without_b0(brain: Brain) -> Brain:
    """The b=0 images are missing."""
    kept = brain.bvalues > 50
    return replace(brain, pixels=brain.pixels[..., kept], bvalues=brain.bvalues[kept], bvectors=brain.bvectors[kept])


def shortened(brain: Brain) -> Brain:
    """Directions that are a tenth too short."""
    return replace(brain, bvectors=brain.bvectors * 0.9)


def turned_table(brain: Brain, change: tuple[tuple[int, int, int], ...]) -> Brain:
    """The table as another program might have written it."""
    return replace(brain, bvectors=brain.bvectors @ np.array(change, np.float64))
