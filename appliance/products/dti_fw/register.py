"""Registration of an FA map to a template: affine by Gauss and Newton's method, then symmetric diffeomorphic (DIPY's SyN).

Everything is in the patient's coordinates (RAS mm), so left and right cannot change places whichever way the voxels lie.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from appliance.products.dti_fw.atlas import Image3
from appliance.products.dti_fw.motion import rotation_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]
    Pixels = NDArray[np.float32]

GRID_MM = 2.0
"""Of the non-linear registration: finer than the diffusion images themselves."""
LEVELS = ((8.0, 6.0, 12), (4.0, 4.0, 12), (2.0, 3.0, 12))
"""Smoothing and spacing of points in mm, and steps, from coarse to fine."""
TURNS_DEGREES = 30.0
"""Heads lie turned by so much in the scanner; each axis is tried both ways."""
SYN_ITERATIONS = [10, 10, 5]
INSIDE = 0.1
"""Of the template's maximum: where it has anything to compare."""


@dataclass(frozen=True, slots=True)
class Registration:
    """From the patient's space to the template's."""

    affine: "Matrix"
    """4 x 4, template mm to patient mm."""
    grid: "Matrix"
    """4 x 4, indices of the registration's grid to template mm."""
    displacement: "Pixels"
    """(x, y, z, 3): voxels of the grid, added to an affinely placed point to reach the template."""
    correlation_affine: float
    correlation: float
    """Of FA and template on the grid, before and after the non-linear part."""

    def to_template(self, points: "Matrix") -> "Matrix":
        """(3, points) in patient mm to template mm."""
        from scipy import ndimage

        index = _apply(np.linalg.inv(self.affine @ self.grid), points)
        moved = [ndimage.map_coordinates(self.displacement[..., axis], index, order=1, mode="nearest") for axis in range(3)]
        return _apply(self.grid, index + np.stack(moved))


def register(fa: Image3, template: Image3) -> Registration:
    """Registers an FA map (0 outside the brain) to a template of white matter."""
    affine = _affine(fa, template)
    fixed, grid = _on_grid(template)
    moving = _sampled(fa.pixels, _indices_of(fa.affine, affine @ grid, fixed.shape)).reshape(fixed.shape)
    before = _correlation(moving, fixed)
    displacement, warped = _warp(fixed, moving)
    return Registration(affine, grid, displacement, before, _correlation(warped, fixed))


def labels_on(fa: Image3, labels: Image3, registration: Registration) -> "NDArray[np.int32]":
    """Each voxel's label, on the grid of the FA map."""
    shape = fa.pixels.shape
    points = _apply(fa.affine, np.indices(shape).reshape(3, -1))
    index = np.rint(_apply(np.linalg.inv(labels.affine), registration.to_template(points))).astype(np.intp)
    inside = ((index >= 0) & (index < np.array(labels.pixels.shape)[:, None])).all(axis=0)
    found = np.zeros(points.shape[1], np.int32)
    found[inside] = labels.pixels[tuple(index[:, inside])]
    return found.reshape(shape)


def _apply(matrix: "NDArray[Any]", points: "NDArray[Any]") -> "Matrix":
    found: Matrix = matrix[:3, :3] @ points + matrix[:3, 3:]
    return found


def _sampled(pixels: "NDArray[Any]", index: "Matrix") -> "Pixels":
    from scipy import ndimage

    found: Pixels = ndimage.map_coordinates(np.asarray(pixels, np.float32), index, order=1, mode="constant")
    return found


def _indices_of(image_affine: "Matrix", grid: "Matrix", shape: tuple[int, ...]) -> "Matrix":
    return _apply(np.linalg.inv(image_affine) @ grid, np.indices(shape).reshape(3, -1).astype(np.float64))


def _spacing(affine: "Matrix") -> "Matrix":
    found: Matrix = np.linalg.norm(affine[:3, :3], axis=0)
    return found


def _affine(fa: Image3, template: Image3) -> "Matrix":
    """Template mm to patient mm."""
    from scipy import ndimage

    best: Matrix = np.eye(4)
    for level, (smoothing_mm, spacing_mm, steps) in enumerate(LEVELS):
        fixed = ndimage.gaussian_filter(np.asarray(template.pixels, np.float32), smoothing_mm / _spacing(template.affine))
        moving = ndimage.gaussian_filter(np.asarray(fa.pixels, np.float32), smoothing_mm / _spacing(fa.affine))
        step = np.maximum(1, np.rint(spacing_mm / _spacing(template.affine))).astype(int)
        thinned = np.zeros(fixed.shape, bool)
        thinned[:: step[0], :: step[1], :: step[2]] = True
        inside = np.argwhere(thinned & (fixed > INSIDE * fixed.max() / 2))
        points, target = _apply(template.affine, inside.T), fixed[tuple(inside.T)]
        image = Image3(moving, fa.affine)
        starts = _starts(points, target, fa) if level == 0 else [best]
        found = [_descend(image, points, target, start, steps) for start in starts]
        best = max(found, key=lambda one: one[0])[1]
    return best


def _starts(points: "Matrix", target: "Pixels", fa: Image3) -> "list[Matrix]":
    """Centre on centre, upright and turned to either side about each axis."""
    voxels = np.argwhere(np.asarray(fa.pixels) > 0)
    centre = _apply(fa.affine, voxels.mean(axis=0)[:, None])[:, 0]
    middle = np.average(points, axis=1, weights=target)
    found = []
    for axis, sign in ((0, 0), *((axis, sign) for axis in range(3) for sign in (-1, 1))):
        vector = np.zeros(3)
        vector[axis] = np.deg2rad(TURNS_DEGREES) * sign
        start = np.eye(4)
        start[:3, :3] = rotation_of(vector)
        start[:3, 3] = centre - start[:3, :3] @ middle
        found.append(start)
    return found


def _descend(image: Image3, points: "Matrix", target: "Pixels", start: "Matrix", steps: int) -> "tuple[float, Matrix]":
    """Correlation and matrix after some steps of Gauss and Newton's method on the twelve entries."""
    inverse, half = np.linalg.inv(image.affine), _spacing(image.affine) / 2
    centred = target - target.mean()
    middle = points.mean(axis=1, keepdims=True)
    away = (points - middle) / 50.0
    best = (-1.0, start)
    matrix = np.array(start)
    for _ in range(steps):
        here = _apply(matrix, points)
        values = _sampled(image.pixels, _apply(inverse, here))
        moved = values - values.mean()
        norm = float(np.linalg.norm(moved) * np.linalg.norm(centred))
        correlation = float(moved @ centred) / norm if norm else -1.0
        if correlation > best[0]:
            best = (correlation, np.array(matrix))
        slopes = []
        for axis in range(3):
            offset = np.zeros((3, 1))
            offset[axis] = half[axis]
            ahead, behind = (_sampled(image.pixels, _apply(inverse, here + sign * offset)) for sign in (1, -1))
            slopes.append((ahead - behind) / (2 * half[axis]))
        columns = np.stack([*slopes, *(slope * row for slope in slopes for row in away), np.ones_like(centred), centred])
        columns = columns.astype(np.float64)
        normal = columns @ columns.T
        normal[np.diag_indices(12)] *= 1.01
        gain = float(moved @ centred) / max(float(centred @ centred), 1e-12)
        change = np.linalg.lstsq(normal, columns @ (moved - gain * centred), rcond=None)[0][:12]
        change *= min(1.0, 8.0 / max(float(np.abs(change).max()), 1e-12))
        linear = change[3:].reshape(3, 3) / 50.0
        matrix[:3, :3] -= linear
        matrix[:3, 3] -= change[:3] - (linear @ middle)[:, 0]
        if np.abs(change).max() < 0.02:
            break
    return best


def _on_grid(template: Image3) -> "tuple[Pixels, Matrix]":
    """The template around its contents at `GRID_MM`, axes along RAS."""
    inside = np.argwhere(np.asarray(template.pixels) > INSIDE * float(np.max(template.pixels)))
    corners = _apply(template.affine, np.array([inside.min(axis=0), inside.max(axis=0)], np.float64).T)
    low, high = corners.min(axis=1) - 6, corners.max(axis=1) + 6
    shape = tuple(int(size) for size in np.ceil((high - low) / GRID_MM).astype(int) + 1)
    grid = np.diag([GRID_MM, GRID_MM, GRID_MM, 1.0])
    grid[:3, 3] = low
    values = _sampled(template.pixels, _indices_of(template.affine, grid, shape)).reshape(shape)
    return values / max(float(values.max()), 1e-12), grid


def _warp(fixed: "Pixels", moving: "Pixels") -> "tuple[Pixels, Pixels]":
    from dipy.align.imwarp import SymmetricDiffeomorphicRegistration
    from dipy.align.metrics import CCMetric

    metric: Any = CCMetric
    method: Any = SymmetricDiffeomorphicRegistration
    mapping = method(metric(3), level_iters=SYN_ITERATIONS)
    mapping.verbosity = 0
    found = mapping.optimize(fixed, moving)
    return np.asarray(found.get_backward_field(), np.float32), np.asarray(found.transform(moving), np.float32)


def _correlation(first: "Pixels", second: "Pixels") -> float:
    inside = second > INSIDE
    return float(np.corrcoef(first[inside], second[inside])[0, 1])
