"""Which of the converted series can be fitted, and which of their volumes."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from appliance.products.dti.faults import NoDiffusionFound, NoUnweightedVolume, SeriesIncomplete, TooFewDirections
from appliance.products.dti.nifti import Volumes

if TYPE_CHECKING:
    from numpy.typing import NDArray

B0_LIMIT = 50.0
"""s/mm2; up to here a volume counts as unweighted, because some scanners play a small gradient at 'b=0'."""
TENSOR_LIMIT = 1500.0
"""s/mm2; above it the signal is no longer mono-exponential (Jones and Basser, MRM 2004), so higher shells are left out
where lower ones suffice."""
Change = tuple[tuple[int, int, int], ...]
"""3 x 3: flips and exchanges of gradient axes."""
SAME_DIRECTION = np.cos(np.deg2rad(2.0))


@dataclass(frozen=True, slots=True)
class DiffusionSeries:
    """One series ready to be fitted."""

    name: str
    """`s12`: our name of the series from its number; also the beginning of its files' names."""
    image: Path
    used: "NDArray[np.intp]"
    """Indices of the volumes that are fitted."""
    bvalues: "NDArray[np.float64]"
    """s/mm2, of the used volumes."""
    bvectors: "NDArray[np.float64]"
    """(used volumes, 3), unit length or zero, along the voxel axes in FSL's convention."""
    directions: int
    notes: tuple[str, ...]

    @property
    def unweighted(self) -> "NDArray[np.bool_]":
        """Which of the used volumes have no diffusion weighting."""
        return self.bvalues <= B0_LIMIT

    @property
    def shells(self) -> list[int]:
        """The b-values without 0, rounded to 50 s/mm2."""
        return sorted({int(round(b / 50.0) * 50) for b in self.bvalues if b > B0_LIMIT})


def choose(
    work: Path,
    minimum_directions: int,
    minimum_b0: int,
    changes: "Mapping[str, Change] | None" = None,
    limit: float = TENSOR_LIMIT,
) -> tuple[list[DiffusionSeries], list[str]]:
    """The series that can be fitted, the one with most directions first, and notes on what was left out.

    `changes` takes the directions of a series, by its number, to the right ones where a wrong table is repaired.
    Volumes with b above `limit` (s/mm2) are left out where lower ones suffice for a tensor.
    Raises `NoDiffusionFound`, `SeriesIncomplete`, `NoUnweightedVolume`, `TooFewDirections`.
    """
    images = sorted(work.glob("*.nii"))
    candidates = [image for image in images if image.with_suffix(".bval").exists() and image.with_suffix(".bvec").exists()]
    original = [image for image in candidates if not _is_derived(image)]
    derived = sum(_is_derived(image) for image in images)
    if not original:
        raise NoDiffusionFound(series=len(images), derived=derived)
    broken = [image for image in original if not _is_whole(image)]
    read = [_read(image, _change_of(image, changes or {}), limit) for image in original if image not in broken]
    if not read:
        raise SeriesIncomplete(series=", ".join(image.stem[1:] for image in broken))
    with_b0 = [one for one in read if one.unweighted.sum() >= minimum_b0]
    usable = [one for one in with_b0 if one.directions >= minimum_directions and _solvable(one)]
    if not usable:
        if not with_b0 and any(one.directions >= minimum_directions for one in read):
            raise NoUnweightedVolume()
        raise TooFewDirections(needed=minimum_directions, found=max(one.directions for one in read))
    usable.sort(key=lambda one: (-one.directions, -len(one.used), _natural(one.name)))
    chosen = {one.name for one in usable}
    notes = [f"Series {image.stem[1:]} was left out: its slices do not make whole volumes." for image in broken]
    return usable, [*notes, *_left_out(one for one in read if one.name not in chosen), *_about(usable, derived)]


def _left_out(series: Iterable[DiffusionSeries]) -> list[str]:
    return [
        f"Series {one.name[1:]} was left out: volumes with b=0: {int(one.unweighted.sum())}, directions: {one.directions}."
        for one in series
    ]


def _about(usable: list[DiffusionSeries], derived: int) -> list[str]:
    notes: list[str] = []
    if len(usable) > 1:
        others = ", ".join(one.name[1:] for one in usable[1:])
        notes.append(
            f"The numbers without a prefix are of series {usable[0].name[1:]}, which has most directions; "
            f"also fitted: {others}."
        )
    if derived:
        notes.append(f"{derived} series with maps or other derived images were not used.")
    return notes


def _natural(name: str) -> tuple[int, str]:
    digits = re.search(r"\d+", name)
    return int(digits.group()) if digits else 0, name


def _is_derived(image: Path) -> bool:
    sidecar = image.with_suffix(".json")
    if not sidecar.exists():
        return False
    described: dict[str, Any] = msgspec.json.decode(sidecar.read_bytes())
    kinds = {str(word).upper() for key in ("ImageType", "ImageTypeText") for word in described.get(key, [])}
    # PS3.3 C.7.6.1.1.2 value 1, and the vendors' words for maps and phase images that still call themselves original.
    maps = {"ADC", "FA", "TRACEW", "TRACE", "EADC", "AVDC", "TENSOR", "EXP"}
    return bool(kinds & ({"DERIVED", "PHASE", "REAL", "IMAGINARY"} | maps))


def _is_whole(image: Path) -> bool:
    # Where slices are missing the converter still writes something: all slices in one pile, with the table of the volumes.
    return Volumes(image).count == np.loadtxt(image.with_suffix(".bval"), ndmin=1).size


def _change_of(image: Path, changes: "Mapping[str, Change]") -> "Change | None":
    """The change for a series; the converter names its files by the series number."""
    return changes.get(str(_natural(image.stem)[0]))


def _read(image: Path, change: "Change | None" = None, limit: float = TENSOR_LIMIT) -> DiffusionSeries:
    bvalues = np.loadtxt(image.with_suffix(".bval"), ndmin=1)
    bvectors = np.loadtxt(image.with_suffix(".bvec"), ndmin=2).T
    if change is not None:
        bvectors = bvectors @ np.array(change, np.float64).T
    length = np.linalg.norm(bvectors, axis=1)
    weighted = bvalues > B0_LIMIT
    bvectors = np.divide(bvectors, length[:, None], out=np.zeros_like(bvectors), where=(length > 0)[:, None])
    bvectors[~weighted] = 0
    fits = ~weighted | (length > 0.5)
    notes = _dropped(image, int((~fits).sum()))
    notes += ["the axes of its gradient table were repaired before the fit, as quality control says."] if change else []
    lower = fits & weighted & (bvalues <= limit)
    if _count_directions(bvectors[lower]) >= 6 and (fits & (bvalues > limit)).any():
        high = int((fits & (bvalues > limit)).sum())
        notes.append(f"{high} volumes with b above {limit:.0f} s/mm2 were left out of the tensor fit.")
        fits &= bvalues <= limit
    used = np.flatnonzero(fits)
    prefix = f"Series {image.stem[1:]}: "
    return DiffusionSeries(
        name=image.stem,
        image=image,
        used=used,
        bvalues=bvalues[used],
        bvectors=bvectors[used],
        directions=_count_directions(bvectors[used][weighted[used]]),
        notes=tuple(prefix + note for note in notes),
    )


def _dropped(image: Path, without_direction: int) -> list[str]:
    # The converter itself sets volumes without a gradient aside; the file it leaves for that has all volumes in it.
    aside = image.with_name(f"{image.stem}_ADC.nii")
    if aside.exists():
        without_direction += max(0, Volumes(aside).count - Volumes(image).count)
    if not without_direction:
        return []
    verb = "volume was" if without_direction == 1 else "volumes were"
    return [f"{without_direction} {verb} dropped: weighted, but without a gradient direction (a trace image or a map)."]


def _count_directions(vectors: "NDArray[np.float64]") -> int:
    """How many different axes there are; a direction and its opposite are one."""
    different: list[NDArray[np.float64]] = []
    for vector in vectors:
        if all(abs(float(vector @ other)) < SAME_DIRECTION for other in different):
            different.append(vector)
    return len(different)


def _solvable(series: DiffusionSeries) -> bool:
    # Six directions on one cone or plane do not determine a tensor, however many there are.
    weighted = series.bvectors[~series.unweighted]
    x, y, z = weighted.T
    products = np.stack([x * x, y * y, z * z, x * y, x * z, y * z], axis=1)
    return bool(np.linalg.matrix_rank(products, tol=1e-3) == 6)
