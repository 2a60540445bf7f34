"""From frames to volumes: which slices make one volume, and which volumes lack some.

Frames with the same weighting and direction belong together; where a slice position comes several times (repeated b=0), its
first image goes to the first volume, its second to the second. Averages that the scanner put behind the directions are
no volumes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from appliance.qc.study import Frame, Gradient, Series, Vector

_SAME_POSITION_MM = 0.2
_SAME_AXIS_COSINE = 0.9998
"""About one degree."""

_UNEVEN = 0.25
"""Distances between neighbouring slices may differ by this share of their median."""


@dataclass(frozen=True, slots=True)
class Volume:
    """One volume: its weighting and how many of its slices are there."""

    gradient: Gradient
    slices: int


@dataclass(frozen=True, slots=True)
class Volumes:
    """The volumes of a series; `slices` is how many each ought to have."""

    volumes: tuple[Volume, ...]
    slices: int
    averages: int
    """Frames that are averages over directions."""
    uneven: bool
    """A slice is missing at the same place in every volume, or the gap changes."""
    distance: float | None
    """Between neighbouring slices, in mm; None where positions are not stated."""

    @property
    def incomplete(self) -> int:
        """How many volumes lack slices or have more than the others."""
        return sum(1 for volume in self.volumes if volume.slices != self.slices)

    @property
    def unweighted(self) -> int:
        """How many volumes are b=0."""
        return sum(1 for volume in self.volumes if not volume.gradient.weighted)

    @property
    def weighted(self) -> int:
        """How many volumes are diffusion-weighted."""
        return len(self.volumes) - self.unweighted


def volumes_of(series: Series) -> Volumes:
    """The volumes of the original frames of a series."""
    frames = [frame for frame in series.frames if not frame.gradient.trace]
    averages = len(series.frames) - len(frames)
    whole = [Volume(frame.gradient, frame.slices) for frame in frames if frame.slices > 1]
    positions = _clustered(frame.position for frame in frames if frame.slices == 1)
    volumes = [*whole, *_assembled([frame for frame in frames if frame.slices == 1], positions)]
    slices = max((one.slices for one in whole), default=0) or len(set(positions.values()))
    places = _centres(positions)
    return Volumes(tuple(volumes), slices, averages, _uneven(places), _median_distance(places))


def directions(gradients: Iterable[Gradient]) -> int:
    """How many weighted axes there are; a direction and its opposite weight the same diffusion and count once."""
    axes: list[Vector] = []
    for gradient in gradients:
        one = gradient.direction
        if gradient.weighted and one is not None and not any(abs(_dot(one, axis)) > _SAME_AXIS_COSINE for axis in axes):
            axes.append(one)
    return len(axes)


def _dot(one: Vector, other: Vector) -> float:
    return one[0] * other[0] + one[1] * other[1] + one[2] * other[2]


def _assembled(frames: Sequence[Frame], positions: dict[float | None, int]) -> list[Volume]:
    counts: dict[tuple[float, Vector | None], dict[int, int]] = {}
    gradients: dict[tuple[float, Vector | None], Gradient] = {}
    for frame in frames:
        gradient = frame.gradient
        key = _key(gradient)
        gradients.setdefault(key, gradient)
        at = counts.setdefault(key, {})
        place = positions[frame.position]
        at[place] = at.get(place, 0) + 1
    return [
        Volume(gradients[key], sum(1 for many in at.values() if many > turn))
        for key, at in counts.items()
        for turn in range(max(at.values()))
    ]


def _key(gradient: Gradient) -> tuple[float, Vector | None]:
    """What the slices of one volume have in common; b=0 slices do whatever direction their header carries."""
    if not gradient.weighted:
        return round(gradient.b_value or 0.0, 1), None
    one = gradient.direction
    rounded = (round(one[0], 3), round(one[1], 3), round(one[2], 3)) if one else None
    return round(gradient.b_value or 0.0, 1), rounded


def _clustered(stated: Iterable[float | None]) -> dict[float | None, int]:
    """Position -> number of the slice; positions that differ by rounding alone are one."""
    found: dict[float | None, int] = {}
    every = set(stated)
    place, last = -1, None
    for position in sorted(one for one in every if one is not None):
        if last is None or position - last > _SAME_POSITION_MM:
            place += 1
        found[position] = place
        last = position
    if None in every:
        found[None] = place + 1
    return found


def _centres(positions: dict[float | None, int]) -> list[float]:
    first: dict[int, float] = {}
    for position, place in positions.items():
        if position is not None:
            first.setdefault(place, position)
    return [first[place] for place in sorted(first)]


def _median_distance(places: Sequence[float]) -> float | None:
    distances = sorted(later - earlier for earlier, later in pairwise(places))
    return distances[len(distances) // 2] if distances else None


def _uneven(places: Sequence[float]) -> bool:
    median = _median_distance(places)
    if median is None:
        return False
    return any(abs(later - earlier - median) > _UNEVEN * median for earlier, later in pairwise(places))
