"""Denoising by Marchenko-Pastur principal component analysis (Veraart and others, NeuroImage 2016).

In a small patch, the volumes of a diffusion series have few components of signal; the eigenvalues of pure noise follow a law
with known edges. What lies inside the edges is removed. Noise must still be white: this runs before any resampling.

Patches lie two voxels apart, not one; every voxel is still in 8 to 27 of them. Eigenvalues of all patches come from the
tridiagonal form, and eigenvectors only for the few components that are kept.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.float32]

STRIDE = 2
BATCH = 256
"""Patches at once: some 10 MB with a hundred volumes."""


@dataclass(frozen=True, slots=True)
class Denoised:
    """The series without the noise that could be told from signal."""

    pixels: "Pixels"
    """(x, y, z, volumes)."""
    noise: "Pixels"
    """(x, y, z): standard deviation of the noise, in units of the pixels; 0 where no patch was."""
    components: float
    """Mean count of components kept."""


def denoise(
    pixels: "Pixels",
    mask: "NDArray[np.bool_] | None" = None,
    *,
    stride: int = STRIDE,
    progress: Callable[[float], None] = lambda share: None,
) -> Denoised:
    """Denoises (x, y, z, volumes); outside of `mask` and its surroundings the pixels stay as they are."""
    width = patch_width(pixels.shape)
    corners = _corners(pixels.shape, width, stride, mask)
    total, weight = np.zeros_like(pixels), np.zeros((*pixels.shape[:3], 1), np.float32)
    variance = np.zeros(pixels.shape[:3], np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(pixels, width, axis=(0, 1, 2))
    kept = 0
    for first in range(0, len(corners), BATCH):
        batch = corners[first : first + BATCH]
        x, y, z = batch.T
        # (patches, volumes, x, y, z) -> (patches, voxels, volumes)
        patches = np.moveaxis(windows[x, y, z], 1, -1)
        shape = patches.shape
        estimate, noise, count = _without_noise(patches.reshape(len(batch), -1, shape[-1]))
        share = (1 / (1 + count)).astype(np.float32)
        estimate *= share[:, None, None]
        for place, found, its_share, its_noise in zip(batch, estimate.reshape(shape), share, noise * share, strict=True):
            box = tuple(slice(start, start + size) for start, size in zip(place, width, strict=True))
            total[box] += found
            weight[box] += its_share
            variance[box] += its_noise
        kept += int(count.sum())
        progress(min((first + BATCH) / len(corners), 1.0))
    touched = weight > 0
    np.divide(total, weight, out=total, where=touched)
    np.maximum(total, 0, out=total)
    np.copyto(total, pixels, where=~touched)
    np.divide(variance, weight[..., 0], out=variance, where=touched[..., 0])
    return Denoised(total, np.sqrt(variance), kept / max(len(corners), 1))


def patch_width(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The smallest cube of odd width with at least as many voxels as there are volumes, but 3 at least.

    Cut where the image is thinner than that.
    """
    width = 3
    while width**3 < shape[3]:
        width += 2
    x, y, z = (min(width, size) for size in shape[:3])
    return x, y, z


def _corners(
    shape: tuple[int, ...], width: tuple[int, int, int], stride: int, mask: "NDArray[np.bool_] | None"
) -> "NDArray[np.intp]":
    """(patches, 3): first voxels of the patches; the last ones end at the image's edge."""
    starts = []
    for size, across in zip(shape[:3], width, strict=True):
        axis = list(range(0, size - across + 1, stride))
        if axis[-1] != size - across:
            axis.append(size - across)
        starts.append(axis)
    corners = np.stack(np.meshgrid(*starts, indexing="ij"), axis=-1).reshape(-1, 3)
    if mask is None:
        return corners
    from scipy import ndimage

    near = ndimage.maximum_filter(mask, size=3)
    wanted = np.array([near[x : x + width[0], y : y + width[1], z : z + width[2]].any() for x, y, z in corners])
    found: NDArray[np.intp] = corners[wanted]
    return found


def _without_noise(patches: "Pixels") -> "tuple[Pixels, Pixels, NDArray[np.intp]]":
    """Estimates (patches, voxels, volumes), noise variances and counts of kept components."""
    count, voxels, volumes = patches.shape
    mean = patches.mean(axis=1, keepdims=True)
    centred = patches - mean
    turned = np.swapaxes(centred, 1, 2)
    # The smaller of the two Gram matrices has the same eigenvalues but for zeros.
    moments = centred @ turned if volumes > voxels else turned @ centred
    moments /= np.float32(voxels)
    forms = [_tridiagonal(one) for one in moments]
    spectra = np.stack([one.values for one in forms])
    variance, kept = classify(spectra[:, max(0, spectra.shape[1] - (voxels - 1)) :], voxels, volumes)
    vectors = np.zeros((count, moments.shape[1], max(int(kept.max()), 1)), np.float32)
    for index, (form, wanted) in enumerate(zip(forms, kept, strict=True)):
        if wanted:
            vectors[index, :, :wanted] = form.vectors(int(wanted))
    back = np.swapaxes(vectors, 1, 2)
    estimate = vectors @ (back @ centred) if volumes > voxels else (centred @ vectors) @ back
    estimate += mean
    return estimate, variance, kept


def classify(spectra: "Pixels", voxels: int, volumes: int) -> "tuple[Pixels, NDArray[np.intp]]":
    """Noise variance and count of signal components from ascending eigenvalues (patches, eigenvalues).

    The largest eigenvalues are set aside one by one until the rest is no wider than noise of its own mean can be.
    """
    size = spectra.shape[1]
    counts = np.arange(1, size + 1)
    means = np.cumsum(spectra, axis=1, dtype=np.float64) / counts
    too_wide = spectra - spectra[:, :1] - 4 * np.sqrt(counts / voxels) * means > 0
    # The first count, from the largest down, whose eigenvalues fit: the last one that is not too wide.
    last = size - 1 - np.argmax(~too_wide[:, ::-1], axis=1)
    variance = np.take_along_axis(means, last[:, None], axis=1)
    edge = (1 + np.sqrt(volumes / voxels)) ** 2 * variance
    return np.maximum(variance[:, 0], 0).astype(np.float32), (spectra > edge).sum(axis=1)


@dataclass(frozen=True, slots=True)
class _Form:
    """A symmetric matrix brought to tridiagonal form by reflections."""

    reflectors: Any
    scales: Any
    diagonal: Any
    beside: Any
    values: "Pixels"
    """Ascending."""

    def vectors(self, wanted: int) -> "Pixels":
        """(size, wanted): eigenvectors of the largest eigenvalues."""
        from scipy.linalg import lapack

        size = len(self.diagonal)
        blocks, ends = np.ones(size, np.int32), np.full(size, size, np.int32)
        found, status = lapack.sstein(self.diagonal, self.beside, self.values[-wanted:], blocks, ends)
        if status:
            full: Pixels = np.linalg.eigh(self._matrix())[1]
            found = np.asfortranarray(full[:, -wanted:])
        below, _, _ = lapack.sormqr("L", "N", self.reflectors[1:, :-1], self.scales, found[1:], 32 * wanted)
        found[1:] = below
        return np.asarray(found, np.float32)

    def _matrix(self) -> "Pixels":
        return np.asarray(np.diag(self.diagonal) + np.diag(self.beside, 1) + np.diag(self.beside, -1), np.float32)


def _tridiagonal(matrix: "Pixels") -> _Form:
    from scipy.linalg import lapack

    reflectors, diagonal, beside, scales, _ = lapack.ssytrd(matrix, lower=1)
    values, status = lapack.ssterf(diagonal, beside)
    if status:
        values = np.linalg.eigvalsh(matrix)
    return _Form(reflectors, scales, diagonal, beside, values)
