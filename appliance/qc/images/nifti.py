"""Reading NIfTI: the one place of quality control that speaks to nibabel, whose types are incomplete."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Volumes:
    """A series on disk, read volume by volume."""

    def __init__(self, path: Path) -> None:
        import nibabel

        loading: Any = nibabel
        image = loading.load(path)
        self._pixels = image.dataobj
        self.affine: NDArray[np.float64] = np.asarray(image.affine, np.float64)
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
        pixels = np.array(self._pixels[..., index] if self.count > 1 else self._pixels[...], dtype=np.float32)
        return np.nan_to_num(pixels.reshape(self.grid), copy=False, posinf=0.0, neginf=0.0)


def turned(image: "NDArray[Any]", affine: "NDArray[np.float64]") -> "NDArray[Any]":
    """An array turned so that its axes grow to the patient's right, front and top."""
    import nibabel

    turning: Any = nibabel
    found: NDArray[Any] = turning.apply_orientation(image, turning.io_orientation(affine))
    return found
