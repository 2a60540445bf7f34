"""Reading NIfTI-1 and NIfTI-2 volume by volume, with numpy alone.

The usual library takes as long to load as a whole series takes to be looked at, because it brings every format that it knows.
What is needed here is the header of one plain file (nifti1.h, nifti2.h) and its pixels, mapped into memory.
"""

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
"""Datatype codes of real numbers; complex ones and colours are no diffusion images."""
_LONGEST_HEADER = 540


class _Layout(NamedTuple):
    """Where a header holds what, after `struct`'s format at its offset."""

    length: int
    dimensions: tuple[str, int]
    datatype: int
    sizes: tuple[str, int]
    offset: tuple[str, int]
    scaling: tuple[str, int]
    codes: tuple[str, int]
    quaternion: tuple[str, int]
    rows: tuple[str, int]


_LAYOUTS = (
    _Layout(348, ("8h", 40), 70, ("8f", 76), ("f", 108), ("2f", 112), ("2h", 252), ("6f", 256), ("12f", 280)),
    _Layout(540, ("8q", 16), 12, ("8d", 104), ("q", 168), ("2d", 176), ("2i", 344), ("6d", 352), ("12d", 400)),
)


class Volumes:
    """A series on disk, read volume by volume; raises `ValueError` for what is no image of real numbers or ends too early."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            content = file.read(_LONGEST_HEADER)
        order, layout = _recognised(content)

        def read(place: tuple[str, int]) -> tuple[Any, ...]:
            return struct.unpack_from(order + place[0], content, place[1])

        dimensions = [max(1, int(size)) for size in read(layout.dimensions)]
        axes = min(dimensions[0], 7)
        shape = [*dimensions[1 : 1 + axes], 1, 1, 1][: max(axes, 4)]
        if any(size > 1 for size in shape[4:]):
            raise ValueError("more than four dimensions")
        (code,) = read(("h", layout.datatype))
        if code not in _TYPES:
            raise ValueError("not an image of real numbers")
        self.grid: tuple[int, int, int] = (shape[0], shape[1], shape[2])
        self.count = shape[3]
        start = max(int(read(layout.offset)[0]), layout.length + 4)
        kind = np.dtype(order + _TYPES[code])
        self._pixels = np.memmap(path, kind, "r", start, (*self.grid, self.count), "F")
        slope, intercept = (float(one) for one in read(layout.scaling))
        scaled = np.isfinite(slope) and slope != 0
        self._slope, self._intercept = (slope, intercept if np.isfinite(intercept) else 0.0) if scaled else (1.0, 0.0)
        sizes = [float(one) for one in read(layout.sizes)]
        turned_by, stands_by = (int(one) for one in read(layout.codes))
        self.affine: NDArray[np.float64] = np.eye(4)
        """4 x 4, from voxel indices to RAS millimetres."""
        if stands_by > 0:
            self.affine[:3] = np.array(read(layout.rows), np.float64).reshape(3, 4)
        elif turned_by > 0:
            self.affine[:3] = _turned_by(sizes, read(layout.quaternion))
        else:
            self.affine[:3, :3] = np.diag([-sizes[1], sizes[2], sizes[3]])

    @property
    def voxel_mm(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel."""
        x, y, z = (float(size) for size in np.linalg.norm(self.affine[:3, :3], axis=0))
        return x, y, z

    def volume(self, index: int) -> "NDArray[np.float32]":
        """One volume, with the scaling of the header applied; what is not a number is 0."""
        pixels = np.array(self._pixels[..., index], np.float32)
        if (self._slope, self._intercept) != (1.0, 0.0):
            pixels *= np.float32(self._slope)
            pixels += np.float32(self._intercept)
        elif self._pixels.dtype.kind != "f":
            return pixels
        return np.nan_to_num(pixels, copy=False, posinf=0.0, neginf=0.0)


def _recognised(content: bytes) -> tuple[str, _Layout]:
    """Byte order and layout, by the header's own length."""
    for order in "<>":
        for layout in _LAYOUTS:
            if len(content) >= layout.length and struct.unpack_from(f"{order}i", content)[0] == layout.length:
                return order, layout
    raise ValueError("no NIfTI header")


def _turned_by(sizes: list[float], stated: tuple[float, ...]) -> "NDArray[np.float64]":
    """(3, 4): a unit quaternion, its first part left out, with voxel sizes and offset (nifti1.h, method 2)."""
    b, c, d, *offset = stated
    a = max(0.0, 1.0 - b * b - c * c - d * d) ** 0.5
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    handed = -1.0 if sizes[0] < 0 else 1.0
    return np.column_stack([rotation * [sizes[1], sizes[2], handed * sizes[3]], offset])


def order_of(affine: "NDArray[np.float64]") -> list[int]:
    """The voxel axes that run along the patient's axes right, front, top."""
    part = np.abs(affine[:3, :3]) / np.linalg.norm(affine[:3, :3], axis=0)
    order = [-1, -1, -1]
    for _ in range(3):
        # The voxel axis that lies best along an axis of the body takes it, then the next best of what is left.
        world, voxel = (int(one) for one in np.unravel_index(int(np.argmax(part)), part.shape))
        order[world] = voxel
        part[world], part[:, voxel] = -1.0, -1.0
    return order


def turned(image: "NDArray[Any]", affine: "NDArray[np.float64]") -> "NDArray[Any]":
    """An array (x, y, z, ...) turned so that its first axes grow to the patient's right, front and top."""
    order = order_of(affine)
    found: NDArray[Any] = np.transpose(image, [*order, *range(3, image.ndim)])
    backwards = tuple(slice(None, None, -1 if affine[world, order[world]] < 0 else 1) for world in range(3))
    return found[backwards]
