"""The diffusion tensor as a linear model of the logarithm of the signal: what each volume ought to be, given the others."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNKNOWNS = 7
"""Signal without weighting, and six elements of a symmetric tensor."""
SPARE_VOLUMES = 4
"""So many more volumes than unknowns are needed before a volume can be predicted from the others."""
_RIDGE = 1e-6


def design(bvalues: "NDArray[np.float64]", bvectors: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """(volumes, 7): the model's matrix, with b in units of 1000 s/mm2 so that its columns are of one size."""
    b = bvalues / 1000.0
    x, y, z = bvectors.T
    products = np.stack([x * x, y * y, z * z, 2 * x * y, 2 * x * z, 2 * y * z], axis=1)
    return np.column_stack([np.ones(len(b)), -b[:, None] * products])


def predictable(matrix: "NDArray[np.float64]") -> bool:
    """Whether there are enough volumes to tell one from the others' prediction."""
    return len(matrix) >= UNKNOWNS + SPARE_VOLUMES and int(np.linalg.matrix_rank(matrix, tol=1e-3)) == UNKNOWNS


def solver(matrix: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """(7, volumes): turns logarithms of the signal into the model's seven numbers."""
    normal = matrix.T @ matrix
    found: NDArray[np.float64] = np.linalg.solve(normal + _RIDGE * np.trace(normal) * np.eye(UNKNOWNS), matrix.T)
    return found


def left_out(matrix: "NDArray[np.float64]", logs: "NDArray[np.floating]") -> "NDArray[np.float64]":
    """Each volume's logarithm minus what the other volumes predict; `logs` is (volumes, places).

    The exact leave-one-out residual e / (1 - h) of linear regression. A volume that nothing else determines gives 0.
    """
    hat = matrix @ solver(matrix)
    leverage = np.diag(hat)
    residual = logs - hat @ logs
    free = 1.0 - leverage
    found: NDArray[np.float64] = np.where(free[:, None] > 0.02, residual / np.maximum(free[:, None], 0.02), 0.0)
    return found


def tensors(numbers: "NDArray[np.floating]") -> "NDArray[np.float64]":
    """(places, 3, 3) from (7, places), in 1e-3 mm2/s."""
    _, xx, yy, zz, xy, xz, yz = numbers
    rows = [[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]
    found: NDArray[np.float64] = np.moveaxis(np.array(rows, np.float64), -1, 0)
    return found


def mean(numbers: "NDArray[np.floating]") -> "NDArray[np.floating]":
    """The mean diffusivity of each of (7, places)."""
    found: NDArray[np.floating] = numbers[1:4].mean(axis=0)
    return found


def raw_anisotropy(numbers: "NDArray[np.floating]") -> "NDArray[np.floating]":
    """Fractional anisotropy without the eigenvalues; where the mean is positive never below that of `direction_and_anisotropy`.

    That clips eigenvalues at 0 and takes a hundred times as long, so this says first where it is worth it.
    """
    _, xx, yy, zz, xy, xz, yz = numbers
    off = 2 * (xy * xy + xz * xz + yz * yz)
    power = xx * xx + yy * yy + zz * zz + off
    middle = (xx + yy + zz) / 3
    spread = (xx - middle) ** 2 + (yy - middle) ** 2 + (zz - middle) ** 2 + off
    found: NDArray[np.floating] = np.sqrt(1.5 * spread / np.maximum(power, 1e-12))
    return found


def direction_and_anisotropy(found: "NDArray[np.float64]") -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """The first eigenvector (places, 3) and the fractional anisotropy (Basser and Pierpaoli 1996) of each tensor."""
    values, vectors = np.linalg.eigh(found)
    values = np.clip(values, 0.0, None)
    mean = values.mean(axis=1, keepdims=True)
    power = np.maximum((values**2).sum(axis=1), 1e-12)
    anisotropy = np.sqrt(1.5 * ((values - mean) ** 2).sum(axis=1) / power)
    return vectors[:, :, 2], anisotropy
