"""Reading and writing NIfTI: the one place that speaks to nibabel, whose types are incomplete."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_nibabel: Any = nibabel


class Volumes:
    """An uncompressed series on disk, read piece by piece."""

    def __init__(self, path: Path) -> None:
        image = _nibabel.load(path)
        self._pixels = image.dataobj
        self.affine: NDArray[np.float64] = image.affine
        """4 x 4, from voxel indices to RAS millimetres."""
        shape = tuple(int(size) for size in image.shape)
        self.grid: tuple[int, int, int] = (shape[0], shape[1], shape[2] if len(shape) > 2 else 1)
        self.count = shape[3] if len(shape) > 3 else 1

    @property
    def voxel_mm(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel."""
        x, y, z = (float(size) for size in np.linalg.norm(self.affine[:3, :3], axis=0))
        return x, y, z

    def volume(self, index: int) -> "NDArray[np.float32]":
        """One volume, with the scaling of the header applied; what is not a number is 0."""
        return self._clean(self._pixels[..., index])

    def slab(self, first: int, last: int) -> "NDArray[np.float32]":
        """The slices from `first` to before `last` of all volumes, four axes."""
        return self._clean(self._pixels[:, :, first:last, :])

    @staticmethod
    def _clean(pixels: Any) -> "NDArray[np.float32]":
        return np.nan_to_num(np.asarray(pixels, dtype=np.float32), copy=False, posinf=0.0, neginf=0.0)


def to_ras(image: "NDArray[Any]", affine: "NDArray[np.float64]") -> "NDArray[Any]":
    """An array turned so that its axes grow to the patient's right, front and top."""
    found: NDArray[Any] = _nibabel.apply_orientation(image, _nibabel.io_orientation(affine))
    return found


def ras_voxel_mm(affine: "NDArray[np.float64]") -> tuple[float, float, float]:
    """Edge lengths of a voxel in the order of the axes after `to_ras`."""
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    order = np.argsort(_nibabel.io_orientation(affine)[:, 0])
    x, y, z = (float(sizes[int(axis)]) for axis in order)
    return x, y, z


def write_map(path: Path, pixels: "NDArray[Any]", affine: "NDArray[np.float64]") -> None:
    """Writes an array as compressed NIfTI in scanner coordinates.

    The header is our own: the converter's carries the time of day in its description.
    """
    image = _nibabel.Nifti1Image(pixels, affine)
    image.set_sform(affine, code="scanner")
    image.set_qform(affine, code="scanner")
    image.header.set_xyzt_units("mm")
    _nibabel.save(image, path)
