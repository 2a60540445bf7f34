"""Motion and eddy currents: each volume is brought to the first unweighted one, and its gradient direction turned with it.

A volume has nine parameters: six of the head's motion, and three of the linear eddy currents, which stretch and shear the
image along the phase-encoding axis (Jezzard, Barnett and Pierpaoli, MRM 1998). They minimise the squared difference to a target
of the same contrast: first the mean of the volume's shell, then what a tensor fitted to all aligned volumes predicts for its
gradient. The weighted volumes as a whole are brought to the unweighted ones by their edges. Pixels are interpolated once, at
the end. Coordinates: millimetres along the voxel axes, from the image's centre.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from appliance.products.dti_fw.edges import Grid, rigid_by_edges
from appliance.products.dti_fw.wls import design

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.float32]
    Matrix = NDArray[np.float64]

GRID_MM = 3.5
"""Spacing of the points that are compared: some forty thousand in a brain."""
SMOOTHING_MM = 1.5
RIM_MM = 10.0
MEAN_PASSES = 1
PREDICTION_PASSES = 3
MOST_STEPS = 10
STOP_MM = 0.005
LEAST_FOR_EDDIES = 8
"""Fewer weighted volumes do not tell eddy currents from noise."""
MOST_AVERAGED = 12
"""Volumes whose mean stands for all of their contrast."""
EDDY_UNIT = 0.01
"""Eddy parameters are per cent, so that all nine are of one size."""
RADIANS = 0.01
"""Rotations likewise are hundredths of a radian."""


@dataclass(frozen=True, slots=True)
class Movement:
    """Where a point of the corrected image lies in one volume."""

    matrix: "Matrix"
    """4 x 4, mm from the centre to mm from the centre."""
    rotation: "Matrix"
    """3 x 3: the head's part of it."""

    def turned(self, direction: "Matrix", mirror: "Matrix") -> "Matrix":
        """A gradient direction as the head in its first position would have met it."""
        found: Matrix = mirror * (self.rotation.T @ (mirror * direction))
        return found

    @property
    def translation_mm(self) -> float:
        """How far the image's centre moved."""
        return float(np.linalg.norm(self.matrix[:3, 3]))

    @property
    def degrees(self) -> float:
        """How far the head turned."""
        return float(np.rad2deg(np.arccos(np.clip((np.trace(self.rotation) - 1) / 2, -1, 1))))


@dataclass(frozen=True, slots=True)
class Corrected:
    """The series after correction."""

    pixels: "Pixels"
    bvectors: "Matrix"
    movements: list[Movement]


class _Series:
    """Smoothed volumes, and the points of the brain at which they are compared."""

    def __init__(self, pixels: "Pixels", mask: "NDArray[np.bool_]", voxel_mm: tuple[float, float, float]) -> None:
        from scipy import ndimage

        self.size = np.array(voxel_mm)
        self.centre = (np.array(pixels.shape[:3]) - 1) / 2
        width = SMOOTHING_MM / self.size
        self.smooth = [ndimage.gaussian_filter(pixels[..., one], width, truncate=3) for one in range(pixels.shape[3])]
        step = np.maximum(1, np.rint(GRID_MM / self.size)).astype(int)
        thinned = np.zeros_like(mask)
        thinned[:: step[0], :: step[1], :: step[2]] = True
        self.points = ((np.argwhere(thinned & mask) - self.centre) * self.size).T
        """(3, points), mm."""
        near = ndimage.distance_transform_edt(~mask, sampling=self.size) <= RIM_MM
        self.around = ((np.argwhere(thinned & near) - self.centre) * self.size).T
        """The same with what surrounds the brain."""

    def at(self, image: "Pixels", points: "Matrix") -> "Pixels":
        """Values between voxels, linear."""
        from scipy import ndimage

        index = points / self.size[:, None] + self.centre[:, None]
        found: Pixels = ndimage.map_coordinates(image, index, order=1, mode="nearest")
        return found


def correct(
    pixels: "Pixels",
    bvalues: "NDArray[np.float64]",
    bvectors: "Matrix",
    mask: "NDArray[np.bool_]",
    affine: "Matrix",
    *,
    b0_limit: float = 50.0,
    phase_axis: int = 1,
    progress: Callable[[float], None] = lambda share: None,
) -> Corrected:
    """Corrects (x, y, z, volumes); directions (volumes, 3) in FSL's convention of voxel axes, before and after."""
    voxel_mm = np.linalg.norm(affine[:3, :3], axis=0)
    series = _Series(pixels, mask, (float(voxel_mm[0]), float(voxel_mm[1]), float(voxel_mm[2])))
    mirror = np.array([-1.0 if np.linalg.det(affine[:3, :3]) > 0 else 1.0, 1.0, 1.0])
    parameters = np.zeros((len(bvalues), 9))
    unweighted = np.flatnonzero(bvalues <= b0_limit)
    weighted = np.flatnonzero(bvalues > b0_limit)
    first = series.at(series.smooth[unweighted[0]], series.points)
    for volume in unweighted[1:]:
        parameters[volume] = _align(series, int(volume), first, parameters[volume], phase_axis, eddy=False)
    progress(0.05)
    passes = MEAN_PASSES + PREDICTION_PASSES
    for turn in range(passes):
        targets = _targets(series, parameters, bvalues, bvectors, mirror, phase_axis, b0_limit, predicted=turn >= MEAN_PASSES)
        for volume in weighted:
            parameters[volume] = _align(series, int(volume), targets[volume], parameters[volume], phase_axis, eddy=True)
        _make_eddies_linear(parameters, weighted, bvalues, bvectors)
        progress(0.05 + 0.7 * (turn + 1) / passes)
    between = _between(series, parameters, unweighted, weighted, phase_axis)
    movements = [_movement(parameters[one], phase_axis, between if one in weighted else None) for one in range(len(bvalues))]
    corrected = _resampled(pixels, movements, series, lambda share: progress(0.75 + 0.25 * share))
    turned = np.stack([move.turned(one, mirror) for move, one in zip(movements, bvectors, strict=True)])
    return Corrected(corrected, turned, movements)


def _movement(parameters: "Matrix", phase_axis: int, between: "Matrix | None" = None) -> Movement:
    rotation = rotation_of(parameters[3:6] * RADIANS)
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[phase_axis, :3] += parameters[6:9] * EDDY_UNIT
    matrix[:3, 3] = parameters[:3]
    if between is not None:
        return Movement(matrix @ between, rotation @ between[:3, :3])
    return Movement(matrix, rotation)


def rotation_of(vector: "Matrix") -> "Matrix":
    """The rotation about an axis by its length in radians (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    found: Matrix = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    return found


def _moved(points: "Matrix", matrix: "Matrix") -> "Matrix":
    found: Matrix = matrix[:3, :3] @ points + matrix[:3, 3:]
    return found


def _align(series: _Series, volume: int, target: "Pixels", start: "Matrix", phase_axis: int, *, eddy: bool) -> "Matrix":
    """The parameters at which a volume, times a gain, is nearest to its target (Gauss and Newton's method)."""
    image = series.smooth[volume]
    parameters = np.array(start)
    columns = _derivatives(series, image, _movement(parameters, phase_axis).matrix, phase_axis)[: 9 if eddy else 6]
    size = len(columns)
    extent = float(np.abs(series.points).max())
    reach = np.concatenate([np.ones(3), np.full(3, RADIANS * extent), np.full(3, EDDY_UNIT * extent)])[:size]
    target = target - target.mean()
    for _ in range(MOST_STEPS):
        found = series.at(image, _moved(series.points, _movement(parameters, phase_axis).matrix))
        found = found - found.mean()
        gain = float(found @ target) / max(float(target @ target), 1e-12)
        if gain <= 0:
            break
        # Solved together with the gain, which a displacement also changes.
        rows = np.concatenate([columns, target[None]]).astype(np.float64)
        difference = (found - gain * target).astype(np.float64)
        matrix = rows @ rows.T
        matrix[np.diag_indices(size + 1)] *= 1 + 1e-4
        change = np.linalg.lstsq(matrix, rows @ difference, rcond=None)[0][:size]
        change *= min(1.0, 3.0 / max(float(np.abs(change * reach).max()), 1e-12))
        parameters[:size] -= change
        if np.abs(change * reach).max() < STOP_MM:
            break
    return parameters


def _make_eddies_linear(
    parameters: "Matrix", weighted: "NDArray[np.intp]", bvalues: "NDArray[np.float64]", bvectors: "Matrix"
) -> None:
    """Eddy currents follow the gradient that makes them, in proportion and sign (Andersson and Sotiropoulos, NeuroImage 2016).

    Without this all volumes of a shell could stretch together, which their common target would not notice.
    """
    if len(weighted) < LEAST_FOR_EDDIES:
        return
    gradient = bvectors[weighted] * np.sqrt(bvalues[weighted] / bvalues.max())[:, None]
    parameters[weighted, 6:9] = gradient @ np.linalg.lstsq(gradient, parameters[weighted, 6:9], rcond=None)[0]


def _derivatives(series: _Series, image: "Pixels", matrix: "Matrix", phase_axis: int) -> "Pixels":
    """(9, points): how the values at the points change with each parameter."""
    here = _moved(series.points, matrix)
    slopes = []
    for axis in range(3):
        step = np.zeros((3, 1))
        step[axis] = series.size[axis] / 2
        slopes.append((series.at(image, here + step) - series.at(image, here - step)) / series.size[axis])
    x, y, z = series.points
    along_x, along_y, along_z = slopes
    turns = (z * -along_y + y * along_z, z * along_x - x * along_z, x * along_y - y * along_x)
    columns = [*slopes, *(one * RADIANS for one in turns), *(slopes[phase_axis] * one * EDDY_UNIT for one in (x, y, z))]
    found: Pixels = np.stack(columns).astype(np.float32)
    found -= found.mean(axis=1, keepdims=True)
    return found


def _targets(
    series: _Series,
    parameters: "Matrix",
    bvalues: "NDArray[np.float64]",
    bvectors: "Matrix",
    mirror: "Matrix",
    phase_axis: int,
    b0_limit: float,
    *,
    predicted: bool,
) -> "Pixels":
    """(volumes, points): what each volume should look like."""
    movements = [_movement(one, phase_axis) for one in parameters]
    values = np.stack(
        [series.at(image, _moved(series.points, move.matrix)) for image, move in zip(series.smooth, movements, strict=True)]
    )
    shells = np.rint(bvalues / 100.0)
    shells[bvalues <= b0_limit] = 0
    turned = np.stack([move.turned(one, mirror) for move, one in zip(movements, bvectors, strict=True)])
    targets = np.empty_like(values)
    for shell in np.unique(shells):
        inside = shells == shell
        targets[inside] = values[inside].mean(axis=0)
        used = inside | (shells == 0)
        # A tensor needs more directions than it has entries, or it repeats each volume's own displacement.
        if predicted and shell and inside.sum() >= 10:
            scheme = np.concatenate([-design(bvalues[used] / 1000, turned[used]), np.ones((used.sum(), 1))], axis=1)
            logarithm = np.log(np.maximum(values[used], 1e-3 * values[used].max()))
            hat = scheme @ np.linalg.pinv(scheme)
            # What the fit to all others predicts: with its own signal in the fit, a volume would confirm its own displacement.
            alone = np.maximum(1 - np.diag(hat), 0.2)[:, None]
            targets[inside] = np.exp(logarithm - (logarithm - hat @ logarithm) / alone)[inside[used]]
    return targets


def _between(
    series: _Series, parameters: "Matrix", unweighted: "NDArray[np.intp]", weighted: "NDArray[np.intp]", phase_axis: int
) -> "Matrix":
    """From the unweighted volumes' position to the weighted ones' common position."""
    if not weighted.size:
        return np.eye(4)

    def mean(volumes: "NDArray[np.intp]") -> "Pixels":
        # Onto the whole grid: the brain's outline is what two contrasts have most surely in common.
        points = ((np.indices(series.smooth[0].shape).reshape(3, -1).T - series.centre) * series.size).T
        total = np.zeros(points.shape[1], np.float32)
        for one in volumes:
            total += series.at(series.smooth[one], _moved(points, _movement(parameters[one], phase_axis).matrix))
        return total.reshape(series.smooth[0].shape)

    def placement(points: "Matrix", vector: "Matrix") -> "tuple[Matrix, Matrix]":
        movement = _movement(np.concatenate([vector, np.zeros(3)]), phase_axis)
        return _moved(points, movement.matrix), movement.rotation

    some = weighted[:: max(1, len(weighted) // MOST_AVERAGED)]
    grid = Grid(series.size, series.at)
    found = rigid_by_edges(mean(unweighted[:MOST_AVERAGED]), mean(some), series.around, grid, placement)
    return _movement(np.concatenate([found, np.zeros(3)]), phase_axis).matrix


def _resampled(pixels: "Pixels", movements: list[Movement], series: _Series, progress: Callable[[float], None]) -> "Pixels":
    from scipy import ndimage

    found = np.empty_like(pixels)
    for volume, move in enumerate(movements):
        image = pixels[..., volume]
        if np.array_equal(move.matrix, np.eye(4)):
            found[..., volume] = image
        else:
            matrix = move.matrix[:3, :3] * series.size[None, :] / series.size[:, None]
            offset = move.matrix[:3, 3] / series.size + series.centre - matrix @ series.centre
            moved = ndimage.affine_transform(image, matrix, offset, order=3, mode="nearest")
            # Where eddy currents stretched the image, its signal was spread; the determinant gathers it.
            np.maximum(moved * np.float32(np.linalg.det(move.matrix[:3, :3])), 0, out=moved)
            found[..., volume] = moved
        progress((volume + 1) / len(movements))
    return found
