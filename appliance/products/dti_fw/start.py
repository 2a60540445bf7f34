"""Where the free-water fit begins: the best of a few fractions of water, each with its log-linear tensor."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from appliance.products.dti_fw.normal import diagonal, factor, pair_products, substitute

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.float32]

FRACTIONS = (0.0, 0.3, 0.6, 0.88)
"""Eight fractions find the same minima as these four."""
MOST_EXPONENT = np.float32(5.0)
"""A tensor that fits noise may grow without bound; its signal must not."""


@dataclass(frozen=True, slots=True)
class Guess:
    """One start a voxel."""

    parameters: "Rows"
    """(8, voxels): the tensor in um2/ms, the logarithm of the tissue's signal, water."""
    plain_md: "Rows"
    """Mean diffusivity of the tensor without water, um2/ms."""


def first_guess(signal: "Rows", columns: "Rows", water: "Rows", floor: "Rows") -> Guess:
    """Tries each of `FRACTIONS`.

    `signal` (volumes, voxels) is divided by its mean unweighted one; `columns` (volumes, 7) are minus the exponents, and ones;
    `water` (volumes, 1) is what water leaves of its signal; below `floor` no signal is believed.
    """
    weights = signal * signal
    # Signals of 0 would leave a voxel without any information.
    np.maximum(weights, floor * floor, out=weights)
    matrix = pair_products(columns) @ weights
    matrix[diagonal(7)] *= np.float32(1 + 1e-6)
    factor(matrix, 7)
    best = np.empty((8, signal.shape[1]), np.float32)
    least = np.full(signal.shape[1], np.inf, np.float32)
    plain_md = np.empty_like(least)
    turned = np.ascontiguousarray(columns.T)
    work = np.empty_like(signal)
    for fraction in FRACTIONS:
        share = np.float32(fraction)
        np.subtract(signal, share * water, out=work)
        np.maximum(work, floor * (1 - share), out=work)
        np.log(work, out=work)
        work *= weights
        solution = substitute(matrix, turned @ work)
        if fraction == 0.0:
            plain_md = (solution[0] + solution[2] + solution[5]) / 3
        np.minimum(solution[6], MOST_EXPONENT, out=solution[6])
        np.matmul(columns, solution, out=work)
        np.minimum(work, MOST_EXPONENT, out=work)
        np.exp(work, out=work)
        work += share * water
        work -= signal
        cost = np.einsum("ij,ij->j", work, work)
        better = cost < least
        np.copyto(least, cost, where=better)
        np.copyto(best[:7], solution, where=better)
        np.copyto(best[7], share, where=better)
    return Guess(best, plain_md)
