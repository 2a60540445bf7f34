"""Eigenvalues and eigenvectors of many symmetric 3 x 3 matrices at once, without a loop over voxels.

The eigenvalue furthest from the other two is taken from the cubic's trigonometric solution, where that solution is accurate;
its eigenvector is a cross product. The other two follow from an exact rotation in the plane that is left (Eberly, "A Robust
Eigensolver for 3 x 3 Symmetric Matrices", 2014). No iteration, and equal eigenvalues are no special case.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.float64]

_TINY = 1e-300


def decompose(tensors: "Rows") -> "tuple[Rows, Rows]":
    """Eigenvalues (3, voxels) from largest to smallest, and unit eigenvectors (3 eigenvalues, 3 axes, voxels).

    `tensors` is (6, voxels): xx, xy, yy, xz, yz, zz, finite.
    """
    xx, xy, yy, xz, yz, zz = tensors
    alone, first_is_alone = _furthest_eigenvalue(xx, xy, yy, xz, yz, zz)
    axis = _eigenvector(xx - alone, xy, yy - alone, xz, yz, zz - alone)
    across, along = _plane(axis)
    # The quotients repeat no error of the cubic's solution.
    of_axis, of_across, of_along = (_times(tensors, one) for one in (axis, across, along))
    alone = (axis * of_axis).sum(axis=0)
    one, mixed, two = (across * of_across).sum(axis=0), (across * of_along).sum(axis=0), (along * of_along).sum(axis=0)
    half, middle = (one - two) / 2, (one + two) / 2
    reach = np.hypot(half, mixed)
    safe = np.maximum(reach, _TINY)
    # Two equal eigenvalues leave nothing to rotate.
    large = np.where(reach > _TINY, np.sqrt((1 + np.abs(half) / safe) / 2), 1.0)
    small = mixed / safe / (2 * large)
    # Where `half` is negative, `along` is the nearer axis; the roles of the two shares change places.
    upright = half >= 0
    of_first = np.where(upright, large, small)
    of_second = np.where(upright, small, large)
    upper_vector = of_first * across + of_second * along
    lower_vector = of_first * along - of_second * across
    upper, lower = middle + reach, middle - reach
    values = np.where(first_is_alone, (alone, upper, lower), (upper, lower, alone))
    vectors = np.where(first_is_alone, (axis, upper_vector, lower_vector), (upper_vector, lower_vector, axis))
    return values, vectors


def _furthest_eigenvalue(
    xx: "Rows", xy: "Rows", yy: "Rows", xz: "Rows", yz: "Rows", zz: "Rows"
) -> "tuple[Rows, NDArray[np.bool_]]":
    """The eigenvalue with the widest gap to its neighbour, and whether it is the largest (else it is the smallest)."""
    mean = (xx + yy + zz) / 3
    a, b, c = xx - mean, yy - mean, zz - mean
    spread = np.sqrt((a * a + b * b + c * c + 2 * (xy * xy + xz * xz + yz * yz)) / 6)
    determinant = a * (b * c - yz * yz) - xy * (xy * c - yz * xz) + xz * (xy * yz - b * xz)
    safe = np.maximum(spread, 1e-100)
    half = np.clip(determinant / (safe * safe * safe) / 2, -1, 1)
    angle = np.arccos(np.abs(half)) / 3
    # The smallest eigenvalue of a matrix is minus the largest of its negative: one formula serves both.
    away = 2 * spread * np.cos(angle)
    first = half >= 0
    return np.where(first, mean + away, mean - away), first


def _eigenvector(xx: "Rows", xy: "Rows", yy: "Rows", xz: "Rows", yz: "Rows", zz: "Rows") -> "Rows":
    """Unit vectors (3, voxels) of the null space of singular matrices: the longest cross product of two rows."""
    products = (
        np.stack([xy * yz - xz * yy, xz * xy - xx * yz, xx * yy - xy * xy]),
        np.stack([xy * zz - xz * yz, xz * xz - xx * zz, xx * yz - xy * xz]),
        np.stack([yy * zz - yz * yz, yz * xz - xy * zz, xy * yz - yy * xz]),
    )
    best = products[0]
    length = (best * best).sum(axis=0)
    for other in products[1:]:
        its_length = (other * other).sum(axis=0)
        longer = its_length > length
        best = np.where(longer, other, best)
        length = np.where(longer, its_length, length)
    # An isotropic tensor has no rows left; any axis serves.
    none = length < _TINY
    best[0][none], length[none] = 1.0, 1.0
    found: Rows = best / np.sqrt(length)
    return found


def _plane(axis: "Rows") -> "tuple[Rows, Rows]":
    """Two unit vectors that complete `axis` to a right-handed system."""
    x, y, z = axis
    zero = np.zeros_like(x)
    across = np.where(np.abs(x) > np.abs(y), (-z, zero, x), (zero, z, -y))
    across /= np.sqrt((across * across).sum(axis=0))
    along = np.stack([y * across[2] - z * across[1], z * across[0] - x * across[2], x * across[1] - y * across[0]])
    return across, along


def _times(tensors: "Rows", vectors: "Rows") -> "Rows":
    xx, xy, yy, xz, yz, zz = tensors
    x, y, z = vectors
    return np.stack([xx * x + xy * y + xz * z, xy * x + yy * y + yz * z, xz * x + yz * y + zz * z])
