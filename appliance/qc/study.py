"""What the headers of one study say, compact enough for thousands of files.

Only headers are read; nothing here holds a name or an identifier of the patient. Descriptions and dates are kept for
comparison and never printed.
"""

from dataclasses import dataclass, field

from appliance.qc.bundle import Bundle
from appliance.qc.finding import SourceCount

Vector = tuple[float, float, float]

B0_LIMIT = 50.0
"""Weightings below this many s/mm2 count as b=0: some scanners state the imaging gradients' own 1 to 10 s/mm2."""


@dataclass(frozen=True, slots=True)
class Gradient:
    """How one image is weighted; `b_value` in s/mm2 is None where the header states none."""

    b_value: float | None = None
    direction: Vector | None = None
    """Unit vector as the header states it; None for b=0 and for averages over directions."""
    trace: bool = False
    """An average over directions that the scanner made: weighted, but no volume of its own."""

    @property
    def weighted(self) -> bool:
        """Whether this is a diffusion-weighted image."""
        return self.b_value is not None and self.b_value >= B0_LIMIT


@dataclass(frozen=True, slots=True)
class Frame:
    """One slice, or one mosaic of `slices` slices."""

    gradient: Gradient
    position: float | None
    """Along the slice normal, in mm (PS3.3 section C.7.6.2.1.1)."""
    slices: int = 1
    derived: bool = False
    """A map or another product of the scanner's own processing."""


@dataclass(frozen=True, slots=True)
class Image:
    """One readable MR image of one file."""

    instance: str
    number: int | None
    rows: int
    columns: int
    transfer_syntax: str
    lossy_history: bool
    """(0028,2110) says that the pixels were once compressed with loss."""
    irreversible: bool
    """A JPEG 2000 code stream whose wavelet cannot give back the pixels."""
    frames: tuple[Frame, ...]
    fault: str = ""
    """What is wrong with the pixel data; empty when they are as long as the header says."""


@dataclass(frozen=True, slots=True)
class Stated:
    """Numbers that a series states about itself; None where its vendor states none."""

    images: int | None = None
    slices: int | None = None
    volumes: int | None = None
    weighted: int | None = None
    numbered: bool = False
    """The vendor numbers the images of a series 1, 2, 3 without gaps."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series under our own identifier."""

    id: str
    number: int | None = None
    images: tuple[Image, ...] = ()
    others: int = 0
    """Files that are no MR images: reports, presentation states."""
    unreadable: tuple[str, ...] = ()
    """One reason for each file that could not be read."""
    description: str = field(default="", repr=False)
    study_descriptions: frozenset[str] = field(default=frozenset(), repr=False)
    stated: Stated = Stated()
    parameters: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Every value found for each parameter that a protocol can limit, in the units of `Protocol.limits`."""

    @property
    def frames(self) -> list[Frame]:
        """The original frames of all images, in the order of their numbers."""
        ordered = sorted(self.images, key=lambda image: (image.number is None, image.number or 0))
        return [frame for image in ordered for frame in image.frames if not frame.derived]

    @property
    def weighted(self) -> bool:
        """Whether original diffusion-weighted images are in it."""
        return any(frame.gradient.weighted for frame in self.frames)

    @property
    def derived_maps(self) -> bool:
        """Whether it holds nothing but the scanner's own maps."""
        return bool(self.images) and all(frame.derived for image in self.images for frame in image.frames)


@dataclass(frozen=True, slots=True)
class Person:
    """What one group of images says of the patient's age and sex, as it stands there."""

    age: str = field(default="", repr=False)
    sex: str = ""
    birth_date: str = field(default="", repr=False)
    study_date: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class HeaderStudy:
    """Everything that the header checks see."""

    series: tuple[Series, ...]
    persons: frozenset[Person] = frozenset()
    bundles: tuple[Bundle, ...] = ()
    """Series that came as NIfTI."""
    source: SourceCount | None = None
    """What the source said that the study holds."""

    @property
    def mr_series(self) -> tuple[Series, ...]:
        """The series that hold readable MR images."""
        return tuple(series for series in self.series if series.images)

    @property
    def diffusion_series(self) -> tuple[Series, ...]:
        """The series that hold original diffusion-weighted images."""
        return tuple(series for series in self.series if series.weighted)
