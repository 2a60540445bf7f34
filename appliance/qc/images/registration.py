"""How far a volume has moved: rigid, by Gauss-Newton on the difference to a target of the same contrast."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROUNDS = 8
STEP_END_MM = 0.01
SMOOTH_VOXELS = 0.8
MOST_POINTS = 8000
"""So many voxels of the mask are enough for six numbers."""


@dataclass(frozen=True, slots=True)
class Movement:
    """A rigid movement about the middle of the mask."""

    translation: tuple[float, float, float]
    """mm along the image axes."""
    rotation: tuple[float, float, float]
    """Degrees about the image axes."""

    @property
    def distance_mm(self) -> float:
        """How far the middle has moved."""
        return float(np.linalg.norm(self.translation))

    @property
    def angle_degrees(self) -> float:
        """How far the head has turned."""
        return float(np.linalg.norm(self.rotation))


def smoothed(volume: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """A little blur, which makes the difference between volumes nearly linear in small movements."""
    from scipy import ndimage

    found: NDArray[np.float32] = ndimage.gaussian_filter(volume, SMOOTH_VOXELS)
    return found


class Registration:
    """One mask and voxel size for many volumes."""

    def __init__(self, mask: "NDArray[np.bool_]", voxel_mm: tuple[float, float, float]) -> None:
        inside = np.flatnonzero(mask)
        chosen = inside[:: max(1, len(inside) // MOST_POINTS)]
        self._where = np.unravel_index(chosen, mask.shape)
        self._points = np.array(self._where, np.float64)
        self._size = np.array(voxel_mm)[:, None]
        self._middle = self._points.mean(axis=1, keepdims=True)
        self._lever = (self._points - self._middle) * self._size

    def movement(self, moving: "NDArray[np.float32]", target: "NDArray[np.float32]") -> Movement:
        """The movement that carries `target` onto `moving`; both smoothed, on the same grid.

        Brightness and its offset are left free, so that a change of weighting is no movement.
        """
        from scipy import ndimage

        wanted = target[self._where].astype(np.float64)
        steepest = self._steepest(target)
        total = np.eye(4)
        for _ in range(ROUNDS):
            place = (total[:3, :3] @ self._lever + total[:3, 3:]) / self._size + self._middle
            seen = ndimage.map_coordinates(moving, place, order=1, mode="nearest").astype(np.float64)
            matrix = np.column_stack([steepest, wanted, np.ones_like(wanted)])
            answer = np.linalg.lstsq(matrix.T @ matrix, matrix.T @ seen, rcond=None)[0]
            gain = answer[6] if abs(answer[6]) > 1e-3 else 1.0
            # What is seen is the target moved by the step, so the content lies that much further than was assumed.
            step = answer[:6] / gain
            total = total @ _matrix(step)
            if float(np.abs(step[:3]).max()) < STEP_END_MM and float(np.abs(step[3:]).max()) * 50 < STEP_END_MM:
                break
        # `total` says where in the moved volume the target's content lies: that is the movement itself.
        return Movement(_triple(total[:3, 3]), _triple(np.rad2deg(_angles(total[:3, :3]))))

    def _steepest(self, target: "NDArray[np.float32]") -> "NDArray[np.float64]":
        """(points, 6): how the target's value changes when its content is shifted by 1 mm or turned by 1 rad."""
        slopes: list[NDArray[np.float32]] = list(np.gradient(target))
        gradient = np.array([one[self._where] for one in slopes], np.float64) / self._size
        turning = np.cross(self._lever.T, gradient.T)
        return -np.column_stack([gradient.T, turning])


def _matrix(step: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """A shift and a turn about an axis by its length in radians (Rodrigues) as 4 x 4."""
    found = np.eye(4)
    found[:3, 3] = step[:3]
    angle = float(np.linalg.norm(step[3:]))
    if angle > 0:
        x, y, z = step[3:] / angle
        axis = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
        found[:3, :3] += np.sin(angle) * axis + (1.0 - np.cos(angle)) * (axis @ axis)
    return found


def _angles(matrix: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """The axis of a rotation, as long as its angle in radians; movements of a head stay far below half a turn."""
    twice_sine = np.array([matrix[2, 1] - matrix[1, 2], matrix[0, 2] - matrix[2, 0], matrix[1, 0] - matrix[0, 1]])
    length = float(np.linalg.norm(twice_sine))
    if length < 1e-12:
        return np.zeros(3)
    angle = float(np.arctan2(length, np.trace(matrix) - 1.0))
    return twice_sine * (angle / length)


def _triple(numbers: "NDArray[np.float64]") -> tuple[float, float, float]:
    return float(numbers[0]), float(numbers[1]), float(numbers[2])
