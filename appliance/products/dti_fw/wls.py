"""The weighted least-squares tensor of all voxels at once (Chung, Lu and Henry, NeuroImage 2006).

The same estimator as DIPY's: ordinary least squares on the logarithm, its squared predictions as weights, one weighted solve,
eigenvalues clipped from below. What differs is the order of the arithmetic: the normal matrices of a chunk of voxels are one
matrix product, and their Cholesky factors are written out over rows of voxels.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from appliance.products.dti_fw.eigen import decompose
from appliance.products.dti_fw.normal import factor, pair_products, substitute

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

CHUNK = 2048
"""Voxels at once: the arrays of a chunk stay in the processor's second cache."""
LEAST_SIGNAL = 1e-4
"""What the logarithm sees of signals at or below 0, as in DIPY."""
_CLIP = 1e-6


@dataclass(frozen=True, slots=True)
class Tensors:
    """Tensors of many voxels; the voxel is the last axis."""

    values: "NDArray[np.float64]"
    """(3, voxels): eigenvalues from largest to smallest in mm2/s, clipped from below."""
    vectors: "NDArray[np.float64]"
    """(3 eigenvalues, 3 axes, voxels), unit length, along the axes of the gradient table."""
    clipped: "NDArray[np.bool_]"
    """Voxels in which an eigenvalue was raised to the least diffusivity."""

    def fa(self) -> "NDArray[np.float64]":
        """Fractional anisotropy (Basser and Pierpaoli 1996)."""
        return fractional_anisotropy(self.values)

    def md(self) -> "NDArray[np.float64]":
        """Mean diffusivity, mm2/s."""
        found: NDArray[np.float64] = self.values.mean(axis=0)
        return found


def fractional_anisotropy(values: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """FA from eigenvalues (3, voxels); 0 where all are 0."""
    first, second, third = values
    apart = (first - second) ** 2 + (second - third) ** 2 + (third - first) ** 2
    size = (values**2).sum(axis=0)
    found: NDArray[np.float64] = np.sqrt(np.divide(apart, 2 * size, out=np.zeros_like(apart), where=size > 0))
    return found


def design(bvalues: "NDArray[np.float64]", bvectors: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """(volumes, 6): what each entry xx, xy, yy, xz, yz, zz of the tensor adds to the exponent, in units of `bvalues`."""
    x, y, z = bvectors.T
    products = np.stack([x * x, 2 * x * y, y * y, 2 * x * z, 2 * y * z, z * z], axis=1)
    return products * bvalues[:, None]


def fit_tensors(
    signal: "NDArray[np.float32]",
    bvalues: "NDArray[np.float64]",
    bvectors: "NDArray[np.float64]",
    progress: "Callable[[float], None]" = lambda share: None,
) -> Tensors:
    """Fits a tensor to each column of `signal` (volumes, voxels); b-values in s/mm2, unit or zero directions (volumes, 3)."""
    exponents = design(bvalues, bvectors)
    least = _CLIP / max(float(exponents.max()), 1.0)
    # In s/mm2 the columns of the design differ by a thousandfold, which costs the normal matrix six digits.
    scaled = np.concatenate([-exponents / 1000.0, np.ones((len(exponents), 1))], axis=1)
    unweighted = np.linalg.pinv(scaled)
    pairs = pair_products(scaled)
    count = signal.shape[1]
    values, vectors = np.empty((3, count)), np.empty((3, 3, count))
    for first in range(0, count, CHUNK):
        part = slice(first, min(first + CHUNK, count))
        tensors = _solve_chunk(signal[:, part], scaled, unweighted, pairs)
        tensors /= 1000.0
        values[:, part], vectors[:, :, part] = decompose(tensors)
        progress(part.stop / count)
    clipped = values[2] < least
    np.maximum(values, least, out=values)
    return Tensors(values, vectors, clipped)


def _solve_chunk(
    signal: "NDArray[np.float32]",
    scaled: "NDArray[np.float64]",
    unweighted: "NDArray[np.float64]",
    pairs: "NDArray[np.float64]",
) -> "NDArray[np.float64]":
    """(6, voxels) tensors in um2/ms."""
    logarithm = signal.astype(np.float64)
    np.maximum(logarithm, LEAST_SIGNAL, out=logarithm)
    np.log(logarithm, out=logarithm)
    start = unweighted @ logarithm
    weights = scaled @ start
    np.subtract(logarithm, weights, out=logarithm)
    # Only the ratios of the weights count; without the largest one taken out they overflow in voxels of pure noise.
    weights -= weights.max(axis=0)
    weights *= 2
    np.exp(weights, out=weights)
    matrix = pairs @ weights
    np.multiply(weights, logarithm, out=weights)
    # Solving for the change of the first solution instead of for the whole keeps the digits that the normal matrix costs.
    factor(matrix, 7)
    change = substitute(matrix, scaled.T @ weights)
    found: NDArray[np.float64] = start[:6] + change[:6]
    return found
