"""Many small symmetric positive systems at once, written out over rows of voxels.

A matrix is packed: its lower triangle column by column, (size * (size + 1) / 2, voxels). So a column below its pivot is one
contiguous block, every step of the factorisation works on whole blocks, and a normal matrix arrives in this form from one
matrix product.
"""

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Number = TypeVar("Number", np.float32, np.float64)


def place(row: int, column: int, size: int) -> int:
    """Where an entry with `row` >= `column` stands in the packed form."""
    return column * size - column * (column - 1) // 2 + row - column


def diagonal(size: int) -> "NDArray[np.intp]":
    """Where the diagonal stands in the packed form."""
    return np.array([place(row, row, size) for row in range(size)])


def pair_products(columns: "NDArray[Number]") -> "NDArray[Number]":
    """(pairs, rows): products of each two columns in packed order; times weights (rows, voxels) they give normal matrices."""
    size = columns.shape[1]
    pairs = [columns[:, column] * columns[:, row] for column in range(size) for row in range(column, size)]
    return np.ascontiguousarray(np.stack(pairs))


def factor(packed: "NDArray[Number]", size: int) -> None:
    """Turns packed matrices into their Cholesky factors, with 1/diagonal on the diagonal."""
    least = np.finfo(packed.dtype).tiny
    blocks = _blocks(packed, size)
    product = np.empty((size, packed.shape[1]), packed.dtype)
    for column, block in enumerate(blocks):
        pivot, below = block[0], block[1:]
        # A pivot that rounding made negative belongs to a voxel without information; it must not spread NaN.
        np.maximum(pivot, least, out=pivot)
        np.sqrt(pivot, out=pivot)
        np.reciprocal(pivot, out=pivot)
        below *= pivot
        for row in range(column + 1, size):
            used = product[: size - row]
            np.multiply(below[row - column - 1 :], below[row - column - 1], out=used)
            blocks[row] -= used


def substitute(factors: "NDArray[Number]", right: "NDArray[Number]") -> "NDArray[Number]":
    """Solves with factors made by `factor`; `right` is (size, voxels) and becomes the solution."""
    size = len(right)
    blocks = _blocks(factors, size)
    product = np.empty_like(right)
    for column, block in enumerate(blocks):
        right[column] *= block[0]
        if column + 1 < size:
            right[column + 1 :] -= np.multiply(block[1:], right[column], out=product[column + 1 :])
    for column in range(size - 1, -1, -1):
        block = blocks[column]
        if column + 1 < size:
            np.multiply(block[1:], right[column + 1 :], out=product[column + 1 :])
            right[column] -= np.add.reduce(product[column + 1 :], axis=0)
        right[column] *= block[0]
    return right


def _blocks(packed: "NDArray[Number]", size: int) -> "list[NDArray[Number]]":
    return [packed[place(one, one, size) : place(size - 1, one, size) + 1] for one in range(size)]
