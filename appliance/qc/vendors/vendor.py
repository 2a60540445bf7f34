"""What a vendor's file provides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from appliance.qc.elements import Elements, Wanted
from appliance.qc.study import Frame, Gradient, Stated, Vector

PrivateTags = Mapping[tuple[int, str], Mapping[int, str | Wanted]]


def unit(numbers: tuple[float, ...]) -> Vector | None:
    """A direction of length one; None for anything but three numbers that point somewhere."""
    if len(numbers) != 3:
        return None
    length = sum(one * one for one in numbers) ** 0.5
    if not 1e-6 < length < 1e6:
        return None
    return (numbers[0] / length, numbers[1] / length, numbers[2] / length)


def no_frames(_header: Elements) -> tuple[Frame, ...]:
    """The usual case: one file is one slice."""
    return ()


def nothing_stated(_header: Elements) -> Stated:
    """The series states no numbers about itself."""
    return Stated()


@dataclass(frozen=True, slots=True)
class Vendor:
    """One vendor's places in the header of a classic (single-frame) MR image."""

    name: str
    manufacturers: tuple[str, ...]
    """How (0008,0070) begins, in capitals."""
    gradient: Callable[[Elements], Gradient]
    private: PrivateTags = field(default_factory=dict)
    frames: Callable[[Elements], tuple[Frame, ...]] = no_frames
    """The slices of a file that holds a whole volume; empty where the file is a single slice."""
    stated: Callable[[Elements], Stated] = nothing_stated
    """Read from one image of the series."""
