"""A head that follows from a formula: tissues, fibre directions and the diffusion signal they give.

Everything is in the patient's coordinates of DICOM (LPS, millimetres), so that a slice stack of any tilt sees one head.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BACKGROUND, SCALP, CSF, GREY, WHITE_MIDDLE, WHITE_LEFT, WHITE_RIGHT = range(7)
WHITE = (WHITE_MIDDLE, WHITE_LEFT, WHITE_RIGHT)

FIBRES: dict[int, tuple[float, float, float]] = {
    WHITE_MIDDLE: (1.0, 0.0, 0.0),
    WHITE_LEFT: (0.6, 0.8, 0.0),
    WHITE_RIGHT: (0.0, 0.6, 0.8),
}
"""Unit directions in LPS; the oblique ones tell a flipped gradient axis from a right one, which the first cannot."""

B0_SIGNAL: dict[int, float] = {
    BACKGROUND: 0.0,
    SCALP: 120.0,
    CSF: 1900.0,
    GREY: 1100.0,
    WHITE_MIDDLE: 800.0,
    WHITE_LEFT: 800.0,
    WHITE_RIGHT: 800.0,
}
T1_SIGNAL: dict[int, float] = {
    BACKGROUND: 0.0,
    SCALP: 900.0,
    CSF: 200.0,
    GREY: 550.0,
    WHITE_MIDDLE: 800.0,
    WHITE_LEFT: 800.0,
    WHITE_RIGHT: 800.0,
}
GREY_MD = 0.8e-3
CSF_MD = 3.0e-3
SCALP_MD = 1.2e-3


@dataclass(frozen=True, slots=True)
class Grid:
    """A stack of parallel slices: sizes, millimetres, and the patient coordinates of its voxels."""

    rows: int
    columns: int
    slices: int
    pixel_mm: float
    slice_mm: float
    tilt_degrees: float = 0.0
    """How far the slices lean about the left-right axis."""

    @property
    def along_columns(self) -> "NDArray[np.float64]":
        """The direction in which the column index grows (first triple of ImageOrientationPatient)."""
        return np.array([1.0, 0.0, 0.0])

    @property
    def along_rows(self) -> "NDArray[np.float64]":
        """The direction in which the row index grows (second triple of ImageOrientationPatient)."""
        lean = np.deg2rad(self.tilt_degrees)
        return np.array([0.0, np.cos(lean), np.sin(lean)])

    @property
    def normal(self) -> "NDArray[np.float64]":
        """The direction in which the slice index grows."""
        return np.cross(self.along_columns, self.along_rows)

    def position(self, slice_index: int) -> "NDArray[np.float64]":
        """ImagePositionPatient of a slice: the centre of its first voxel, mm."""
        middle = (
            self.along_columns * (self.columns - 1) * self.pixel_mm + self.along_rows * (self.rows - 1) * self.pixel_mm
        ) / 2
        return self.normal * ((slice_index - (self.slices - 1) / 2) * self.slice_mm) - middle

    def affine(self) -> "NDArray[np.float64]":
        """4 x 4, from (column, row, slice) to RAS millimetres, the coordinates of NIfTI."""
        lps = np.eye(4)
        lps[:3, 0] = self.along_columns * self.pixel_mm
        lps[:3, 1] = self.along_rows * self.pixel_mm
        lps[:3, 2] = self.normal * self.slice_mm
        lps[:3, 3] = self.position(0)
        flip: NDArray[np.float64] = np.diag([-1.0, -1.0, 1.0, 1.0])
        return flip @ lps

    def coordinates(self) -> "NDArray[np.float64]":
        """(slices, rows, columns, 3): LPS millimetres of every voxel centre."""
        column = np.arange(self.columns)[None, None, :, None] * self.pixel_mm * self.along_columns
        row = np.arange(self.rows)[None, :, None, None] * self.pixel_mm * self.along_rows
        depth = np.arange(self.slices)[:, None, None, None] * self.slice_mm * self.normal
        found: NDArray[np.float64] = column + row + depth + self.position(0)
        return found


def labels(grid: Grid) -> "NDArray[np.uint8]":
    """(slices, rows, columns): the tissue of every voxel; the head fills most of the grid."""
    x, y, z = np.moveaxis(grid.coordinates(), -1, 0)
    size = np.array([grid.columns * grid.pixel_mm, grid.rows * grid.pixel_mm, grid.slices * grid.slice_mm]) / 2
    radius = np.sqrt((x / (0.66 * size[0])) ** 2 + (y / (0.80 * size[1])) ** 2 + (z / (0.92 * size[2])) ** 2)
    found = np.zeros(radius.shape, np.uint8)
    found[(radius >= 1.10) & (radius < 1.22)] = SCALP
    found[radius < 1.0] = CSF
    found[radius < 0.93] = GREY
    white = radius < 0.72
    found[white] = WHITE_MIDDLE
    found[white & (x > 0.22 * size[0])] = WHITE_LEFT
    found[white & (x < -0.22 * size[0])] = WHITE_RIGHT
    ventricles = (np.abs(np.abs(x) - 0.09 * size[0]) < 0.06 * size[0]) & (np.abs(y) < 0.22 * size[1])
    found[ventricles & (np.abs(z) < 0.3 * size[2]) & white] = CSF
    return found


def eigenvalues(fa: float, md: float) -> tuple[float, float, float]:
    """Eigenvalues of the axially symmetric tensor with this FA and MD, in the unit of `md`."""
    spread = fa / np.sqrt(3.0 - 2.0 * fa * fa)
    return md * (1 + 2 * spread), md * (1 - spread), md * (1 - spread)


def tensors(fa: float, md: float) -> dict[int, "NDArray[np.float64]"]:
    """Tissue -> 3 x 3 diffusion tensor in LPS, mm2/s."""
    along, across, _ = eigenvalues(fa, md)
    found: dict[int, NDArray[np.float64]] = {
        tissue: across * np.eye(3) + (along - across) * np.outer(direction, direction) for tissue, direction in FIBRES.items()
    }
    found[GREY] = GREY_MD * np.eye(3)
    found[CSF] = CSF_MD * np.eye(3)
    found[SCALP] = SCALP_MD * np.eye(3)
    return found


def directions(count: int) -> "NDArray[np.float64]":
    """(count, 3): unit vectors spread over a half sphere, in LPS."""
    index = np.arange(count)
    height = 1.0 - (index + 0.5) / count
    angle = index * np.pi * (3.0 - np.sqrt(5.0))
    ring = np.sqrt(1.0 - height**2)
    return np.stack([ring * np.cos(angle), ring * np.sin(angle), height], axis=1)


def diffusion_signal(
    tissue: "NDArray[np.uint8]",
    known: dict[int, "NDArray[np.float64]"],
    bvalue: float,
    direction: "NDArray[np.float64] | None",
) -> "NDArray[np.float32]":
    """Noise-free signal of one volume; without a direction the geometric mean over all of them (a trace image)."""
    by_tissue = np.zeros(7, np.float32)
    for label, tensor in known.items():
        decay = float(np.trace(tensor)) / 3 if direction is None else float(direction @ tensor @ direction)
        by_tissue[label] = B0_SIGNAL[label] * np.exp(-bvalue * decay)
    return by_tissue[tissue]


def with_rician_noise(signal: "NDArray[np.float32]", sigma: float, chance: np.random.Generator) -> "NDArray[np.uint16]":
    """Magnitude of the signal with complex Gaussian noise of `sigma`, as 12-bit pixels."""
    real = signal + sigma * chance.standard_normal(signal.shape, np.float32)
    imaginary = sigma * chance.standard_normal(signal.shape, np.float32)
    found: NDArray[Any] = np.rint(np.hypot(real, imaginary)).clip(0, 4095).astype(np.uint16)
    return found
