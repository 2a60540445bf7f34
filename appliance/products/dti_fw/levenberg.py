"""Levenberg and Marquardt's method for the free-water model, on all voxels of a chunk at once.

Parameters (8, voxels): the tensor xx, xy, yy, xz, yz, zz in um2/ms, the logarithm of the tissue's signal, the water's signal.
With the logarithm the derivatives by the first seven are all the tissue's signal times a fixed column of the design.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from appliance.products.dti_fw.normal import diagonal, factor, pair_products, place, substitute

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.float32]

MOST_ITERATIONS = 30
STOP = np.float32(1e-5)
"""Relative drop of the cost below which a voxel is done; single precision sees no smaller one."""
LEAST_TISSUE = np.float32(np.log(1e-4))
_FIRST_DAMPING, _MOST_DAMPING = np.float32(1e-3), np.float32(1e6)
_MD_ROWS = np.array([0, 2, 5])
_MD_PAIRS = np.array([place(row, column, 8) for row, column in ((0, 0), (2, 0), (2, 2), (5, 0), (5, 2), (5, 5))])
_WATER_PAIRS = np.array([place(7, column, 8) for column in range(7)])
_DIAGONAL = diagonal(8)


@dataclass(frozen=True, slots=True)
class Design:
    """What the gradient table fixes; single precision."""

    columns: "Rows"
    """(volumes, 7): minus what each entry of the tensor adds to the exponent (ms/um2), and ones."""
    water: "Rows"
    """(volumes, 1): what water leaves of its signal."""
    pairs: "Rows"
    """(36, volumes): products of the columns in packed order; the rows of water are 0."""
    turned: "Rows"
    """(7, volumes)."""
    watered: "Rows"
    """(7, volumes): the columns times water."""

    @classmethod
    def of(cls, exponents: "NDArray[np.float64]", water: "NDArray[np.float64]") -> "Design":
        """From `wls.design` in ms/um2 and what water leaves of its signal (volumes)."""
        columns = np.concatenate([-exponents, np.ones((len(exponents), 1))], axis=1)
        padded = np.concatenate([columns, np.zeros((len(exponents), 1))], axis=1)
        rows = (columns, water[:, None], pair_products(padded), columns.T, (columns * water[:, None]).T)
        return cls(*(np.ascontiguousarray(one, np.float32) for one in rows))


@dataclass(frozen=True, slots=True)
class Problem:
    """Some voxels to fit."""

    design: Design
    signal: "Rows"
    """(volumes, voxels), divided by the mean unweighted signal."""
    floor: "Rows | None"
    """Noise variance of each voxel; None: no noise floor and no prior."""
    prior: "Rows | None"
    """Weight of the prior on the mean diffusivity."""
    prior_md: np.float32

    @classmethod
    def joined(cls, problems: "list[Problem]") -> "Problem":
        """The voxels of several problems of one design, all with a floor or all without."""
        first = problems[0]
        return cls(
            first.design,
            np.concatenate([one.signal for one in problems], axis=1),
            None if first.floor is None else np.concatenate([one.floor for one in problems if one.floor is not None]),
            None if first.prior is None else np.concatenate([one.prior for one in problems if one.prior is not None]),
            first.prior_md,
        )

    def only(self, kept: "NDArray[np.intp]") -> "Problem":
        """The same for some of the voxels."""
        return Problem(
            self.design,
            self.signal.take(kept, axis=1),
            None if self.floor is None else self.floor[kept],
            None if self.prior is None else self.prior[kept],
            self.prior_md,
        )


@dataclass(slots=True)
class Place:
    """Where the method stands, voxel by voxel."""

    parameters: "Rows"
    cost: "Rows"
    squares: "Rows"
    """Sum of squared residuals, without the prior."""
    matrix: "Rows"
    """(36, voxels), packed."""
    gradient: "Rows"
    """(8, voxels), pointing downhill."""

    def take(self, other: "Place", where: "NDArray[np.bool_]") -> "Place":
        """This one, with `other` in some voxels."""
        if where.all():
            return other
        for mine, new in zip(self._arrays(), other._arrays(), strict=True):
            np.copyto(mine, new, where=where)
        return self

    def only(self, kept: "NDArray[np.intp]") -> "Place":
        """The same for some of the voxels."""
        return Place(*(one.take(kept, axis=-1) for one in self._arrays()))

    def _arrays(self) -> "tuple[Rows, ...]":
        return self.parameters, self.cost, self.squares, self.matrix, self.gradient


@dataclass(frozen=True, slots=True)
class Minimum:
    """Where the method ended."""

    parameters: "Rows"
    squares: "Rows"
    converged: "NDArray[np.bool_]"


def minimise(problem: Problem, start: "Rows", iterations: int = MOST_ITERATIONS) -> Minimum:
    """Runs until every voxel's cost drops by less than `STOP` or the iterations are used up."""
    count = start.shape[1]
    result = Minimum(np.empty_like(start), np.empty(count, np.float32), np.zeros(count, bool))
    voxels = np.arange(count)
    damping = np.full(count, _FIRST_DAMPING)
    with np.errstate(over="ignore", invalid="ignore"):
        here = evaluate(problem, np.array(start)) if count else None
        for _ in range(iterations):
            if here is None:
                break
            there = evaluate(problem, _step(here, damping))
            here, done = _judge(here, there, damping)
            if not done.any():
                continue
            ended, kept = np.flatnonzero(done), np.flatnonzero(~done)
            result.parameters[:, voxels[ended]] = here.parameters[:, ended]
            result.squares[voxels[ended]] = here.squares[ended]
            result.converged[voxels[ended]] = True
            if not kept.size:
                return result
            problem, here, damping, voxels = problem.only(kept), here.only(kept), damping[kept], voxels[kept]
    if here is not None:
        result.parameters[:, voxels] = here.parameters
        result.squares[voxels] = here.squares
    return result


def evaluate(problem: Problem, parameters: "Rows") -> Place:
    """Cost, normal matrix and gradient."""
    design, signal = problem.design, problem.signal
    tissue = design.columns @ parameters[:7]
    np.exp(tissue, out=tissue)
    model = design.water @ parameters[7:]
    model += tissue
    if problem.floor is None:
        residual = np.subtract(signal, model, out=model)
        mixed = design.watered @ tissue
        corner: Rows | np.float32 = np.square(design.water).sum()
        downhill_water = design.water.T @ residual
    else:
        seen = model * model
        seen += problem.floor
        np.sqrt(seen, out=seen)
        slope = np.divide(model, seen, out=model)
        residual = np.subtract(signal, seen, out=seen)
        tissue *= slope
        product = slope * tissue
        mixed = design.watered @ product
        downhill_water = design.water.T @ np.multiply(slope, residual, out=product)
        slope *= slope
        corner = (np.square(design.water).T @ slope)[0]
    squares = np.einsum("ij,ij->j", residual, residual)
    gradient = np.empty_like(parameters)
    np.matmul(design.turned, np.multiply(tissue, residual, out=residual), out=gradient[:7])
    gradient[7] = downhill_water[0]
    tissue *= tissue
    matrix = design.pairs @ tissue
    matrix[_WATER_PAIRS], matrix[35] = mixed, corner
    return _with_prior(problem, Place(parameters, squares, squares, matrix, gradient))


def _with_prior(problem: Problem, place: Place) -> Place:
    if problem.prior is None:
        return place
    away = place.parameters[_MD_ROWS].sum(axis=0)
    away *= np.float32(1 / 3)
    away -= problem.prior_md
    pull = problem.prior * away
    place.gradient[_MD_ROWS] -= pull * np.float32(1 / 3)
    place.matrix[_MD_PAIRS] += problem.prior * np.float32(1 / 9)
    place.cost = place.squares + pull * away
    return place


def _step(here: Place, damping: "Rows") -> "Rows":
    matrix, right = here.matrix.copy(), here.gradient.copy()
    # Water at its bound that would go below it stays out of this step.
    frozen = np.flatnonzero((here.parameters[7] <= 0) & (right[7] < 0))
    if frozen.size:
        matrix[_WATER_PAIRS[:, None], frozen] = 0
        right[7, frozen] = 0
        matrix[35, frozen] = 1
    matrix[_DIAGONAL] *= 1 + damping
    matrix[_DIAGONAL] += np.float32(1e-9)
    factor(matrix, 8)
    trial = substitute(matrix, right)
    trial += here.parameters
    np.maximum(trial[6], LEAST_TISSUE, out=trial[6])
    np.maximum(trial[7], 0, out=trial[7])
    return trial


def _judge(here: Place, there: Place, damping: "Rows") -> "tuple[Place, NDArray[np.bool_]]":
    """Moves where the cost fell, adapts the damping, and says which voxels are done."""
    drop = here.cost - there.cost
    accepted = drop > 0
    slight = np.abs(drop) <= STOP * here.cost
    # At the bottom rounding decides whether a step is accepted; a rejected one that changes nothing is the end as well.
    done = slight & (accepted | (damping <= _FIRST_DAMPING))
    damping *= np.where(accepted, np.float32(0.1), np.float32(10.0))
    done |= damping > _MOST_DAMPING
    return here.take(there, accepted), done
