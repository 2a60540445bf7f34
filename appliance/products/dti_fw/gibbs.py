"""Gibbs ringing, removed by local shifts below a voxel (Kellner and others, MRM 2016).

Ringing is a sinc function sampled away from its zeros. For each voxel the shift is sought at which its neighbourhood, on one
side, varies least; there the samples meet the zeros. The value is interpolated back from that shifted image. A shift of a line
is a product with one fixed matrix, so all lines of a volume are shifted by one matrix product.

The method assumes full coverage of k-space along the axis: with partial Fourier it removes less than all of the ringing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.float32]

SHIFTS = 20
"""Shifts tried to either side, up to half a voxel."""
WINDOW = 3
"""Differences of neighbours in the total variation, on one side of a voxel."""
EDGE = WINDOW + 1
"""How far beyond a line's ends its variation is looked at."""
LINES = 128
"""Lines at once: what belongs to them stays in the processor's second cache."""


def remove_ringing(
    pixels: "Pixels",
    mask: "NDArray[np.bool_] | None" = None,
    progress: Callable[[float], None] = lambda share: None,
) -> "Pixels":
    """Removes ringing within the slices of (x, y, slices, volumes), on all lines that meet the mask."""
    from scipy import fft

    found = np.empty_like(pixels)
    across, along = _weights(pixels.shape[0], pixels.shape[1])
    shifts = [_Shifts.of(size) for size in pixels.shape[:2]]
    inside = np.ones(pixels.shape[:3], bool) if mask is None else mask
    columns, rows = inside.any(axis=0).ravel(), inside.any(axis=1).ravel()
    for volume in range(pixels.shape[3]):
        image = np.ascontiguousarray(pixels[..., volume])
        first = _along_first_axis(image, shifts[0], columns)
        turned = np.ascontiguousarray(np.swapaxes(image, 0, 1))
        second = np.swapaxes(_along_first_axis(turned, shifts[1], rows), 0, 1)
        # What varies along one axis is taken from the image that was corrected along it.
        spectrum = fft.rfft2(first, axes=(0, 1)) * across[..., None] + fft.rfft2(second, axes=(0, 1)) * along[..., None]
        found[..., volume] = fft.irfft2(spectrum, s=pixels.shape[:2], axes=(0, 1))
        progress((volume + 1) / pixels.shape[3])
    return np.maximum(found, 0, out=found)


def _weights(rows: int, columns: int) -> "tuple[Pixels, Pixels]":
    """Shares in frequency space of the images corrected along the first and along the second axis; their sum is 1."""
    first = 1 + np.cos(2 * np.pi * np.fft.fftfreq(rows))[:, None]
    second = 1 + np.cos(2 * np.pi * np.fft.rfftfreq(columns))[None, :]
    total = first + second
    share = np.divide(second, total, out=np.full(total.shape, 0.5), where=total > 1e-12)
    return share.astype(np.float32), (1 - share).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Shifts:
    """The shifts of lines of one length."""

    sizes: "NDArray[np.float32]"
    """In voxels; 0 is the first."""
    matrix: "Pixels"
    """(shifts * (size + 2 * EDGE), size): a line's values at its voxels plus each shift, wrapped around at both ends."""

    @classmethod
    def of(cls, size: int) -> "_Shifts":
        frequency = np.fft.fftfreq(size)
        spectrum = np.fft.fft(np.eye(size), axis=0)
        rows = np.arange(-EDGE, size + EDGE) % size
        steps = [0, *(sign * step for step in range(1, SHIFTS + 1) for sign in (1, -1))]
        matrices = []
        for step in steps:
            shift = step / (2 * SHIFTS)
            turned = np.exp(2j * np.pi * frequency * shift)[:, None]
            if size % 2 == 0:
                # The highest frequency has no sign; its real part keeps the line real.
                turned[size // 2] = np.cos(np.pi * shift)
            matrices.append(np.fft.ifft(spectrum * turned, axis=0).real[rows])
        sizes = np.array([step / (2 * SHIFTS) for step in steps], np.float32)
        return cls(sizes, np.concatenate(matrices).astype(np.float32))


def _along_first_axis(image: "Pixels", shifts: _Shifts, wanted_lines: "NDArray[np.bool_]") -> "Pixels":
    lines = image.reshape(image.shape[0], -1)
    found = np.array(lines)
    wanted = np.flatnonzero(wanted_lines)
    for first in range(0, wanted.size, LINES):
        part = wanted[first : first + LINES]
        found[:, part] = _unrung(np.ascontiguousarray(lines[:, part]), shifts)
    return found.reshape(image.shape)


def _unrung(lines: "Pixels", shifts: _Shifts) -> "Pixels":
    """(size, lines) corrected."""
    size, count = lines.shape
    shifted = (shifts.matrix @ lines).reshape(len(shifts.sizes), size + 2 * EDGE, count)
    steps = np.subtract(shifted[:, 1:], shifted[:, :-1])
    np.abs(steps, out=steps)
    sums = steps[:, : 1 - WINDOW] + steps[:, 1 : 2 - WINDOW]
    for offset in range(2, WINDOW):
        sums += steps[:, offset : offset + sums.shape[1]]
    # The smaller of the variations to the left and to the right of each voxel, without the voxel itself.
    variation = np.minimum(sums[:, :size], sums[:, EDGE + 1 : EDGE + 1 + size])
    best, chosen = variation[0], np.zeros((size, count), np.int8)
    for index in range(1, len(shifts.sizes)):
        np.copyto(chosen, index, where=variation[index] < best)
        np.minimum(best, variation[index], out=best)
    # Back to the voxel: linear between the two shifted samples around it.
    shift = shifts.sizes[chosen]
    row, line = np.arange(EDGE, size + EDGE)[:, None], np.arange(count)[None, :]
    beside = shifted[chosen, row - np.sign(shift).astype(np.intp), line]
    found: Pixels = shifted[chosen, row, line] * (1 - np.abs(shift)) + beside * np.abs(shift)
    return found
