"""Which of all sign flips and exchanges of the gradient axes makes fibres run on from voxel to voxel.

A table that is wrong by such a change turns every fitted direction by the same change; only the right one makes fibres of
neighbouring voxels line up along the line between them (fibre coherence, Schilling et al., MRI 2019). The tensor need be
fitted once: the change acts on its eigenvectors.
"""

from dataclasses import dataclass
from itertools import permutations, product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Matrix = tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]

IDENTITY: Matrix = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
_AXES = "xyz"
_ALONG = 0.82
"""Cosine between a fibre and the line to the neighbour from which on they count as aligned: 35 degrees."""


def changes() -> list[Matrix]:
    """The 24 flips and exchanges that differ for axes without sign, nothing changed first."""
    found: list[Matrix] = []
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=2):
            rows = [[0, 0, 0] for _ in range(3)]
            for row, (column, sign) in enumerate(zip(order, (*signs, 1), strict=True)):
                rows[row][column] = sign
            found.append(_frozen(rows))
    return sorted(found, key=lambda one: (one != IDENTITY, sum(one[row][row] != 1 for row in range(3)), one))


def _frozen(rows: "list[list[int]]") -> Matrix:
    first, second, third = ((row[0], row[1], row[2]) for row in rows)
    return first, second, third


def words(change: Matrix) -> str:
    """`the sign of x`, `x and y exchanged`, and both."""
    flips = np.array(change)
    order = [int(np.flatnonzero(row)[0]) for row in flips]
    moved = [_AXES[place] for place in range(3) if order[place] != place]
    signs = [int(flips[place, order[place]]) for place in range(3)]
    if signs.count(-1) > 1:
        # An axis has no sign of its own: two flips are the third one.
        signs = [-one for one in signs]
    flipped = [_AXES[place] for place in range(3) if signs[place] < 0]
    round_about = f"the axes in the order {', '.join(_AXES[place] for place in order)}"
    parts = [f"{' and '.join(moved)} exchanged" if len(moved) == 2 else round_about] if moved else []
    parts += [f"the sign of {' and '.join(flipped)} wrong"] if flipped else []
    return " and ".join(parts) or "nothing changed"


@dataclass(frozen=True, slots=True)
class Coherence:
    """How well fibres run on under each change."""

    scores: dict[Matrix, float]

    @property
    def best(self) -> Matrix:
        """The change under which fibres run on best."""
        return max(self.scores, key=lambda one: self.scores[one])

    @property
    def gain(self) -> float:
        """The best change's score against the unchanged table's; 1 when the table is the best."""
        own = self.scores[IDENTITY]
        return self.scores[self.best] / own if own > 0 else 1.0

    @property
    def margin(self) -> float:
        """The best change's score against the next best one's: how sure the best is."""
        ranked = sorted(self.scores.values(), reverse=True)
        return ranked[0] / ranked[1] if ranked[1] > 0 else 1.0


def coherence(
    vectors: "NDArray[np.float64]",
    weights: "NDArray[np.float64]",
    where: "NDArray[np.bool_]",
    voxel_mm: tuple[float, float, float],
    flip_x: bool,
) -> Coherence:
    """Scores every change of the fibre directions (voxels of `where`, 3) with their weights.

    `flip_x` says that the first axis of the directions runs against the first axis of the voxels, as in FSL's convention for
    images whose axes are right-handed.
    """
    index = np.full(where.shape, -1, np.int64)
    index[where] = np.arange(int(where.sum()))
    pairs = [_pairs(index, offset) for offset in _half_neighbours()]
    lines = [np.array(offset, np.float64) * voxel_mm * ([-1, 1, 1] if flip_x else [1, 1, 1]) for offset in _half_neighbours()]
    scores: dict[Matrix, float] = {}
    for change in changes():
        turned = vectors @ np.array(change, np.float64).T
        scores[change] = sum(
            _aligned(turned, weights, pair, line / np.linalg.norm(line)) for pair, line in zip(pairs, lines, strict=True)
        )
    return Coherence(scores)


def bend_degrees(vectors: "NDArray[np.float64]", where: "NDArray[np.bool_]") -> float:
    """The median angle between the fibres of voxels that share a face."""
    index = np.full(where.shape, -1, np.int64)
    index[where] = np.arange(int(where.sum()))
    pairs = [_pairs(index, offset) for offset in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
    cosines = np.concatenate([np.abs((vectors[one] * vectors[other]).sum(axis=1)) for one, other in pairs])
    return float(np.rad2deg(np.arccos(np.clip(np.median(cosines), 0.0, 1.0)))) if len(cosines) else 0.0


def _half_neighbours() -> list[tuple[int, int, int]]:
    """The 13 of 26 neighbours of a voxel that are not the opposite of another one."""
    return [(x, y, z) for x, y, z in product((-1, 0, 1), repeat=3) if (z, y, x) > (0, 0, 0)]


def _pairs(index: "NDArray[np.int64]", offset: tuple[int, int, int]) -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
    here = tuple(slice(max(0, -step), size - max(0, step)) for step, size in zip(offset, index.shape, strict=True))
    there = tuple(slice(max(0, step), size - max(0, -step)) for step, size in zip(offset, index.shape, strict=True))
    first, second = index[here].ravel(), index[there].ravel()
    both = (first >= 0) & (second >= 0)
    return first[both], second[both]


def _aligned(
    vectors: "NDArray[np.float64]",
    weights: "NDArray[np.float64]",
    pair: "tuple[NDArray[np.int64], NDArray[np.int64]]",
    line: "NDArray[np.float64]",
) -> float:
    along = np.abs(vectors @ line)
    one, other = along[pair[0]], along[pair[1]]
    both = np.minimum(one, other) > _ALONG
    return float((one * other * weights[pair[0]] * weights[pair[1]])[both].sum())
