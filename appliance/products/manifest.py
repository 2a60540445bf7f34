"""What a product says about itself, what a run is asked, and what it answers."""

from typing import Any

import msgspec

from appliance.finite import finite


class Limit(msgspec.Struct, kw_only=True, frozen=True):
    """A range; outside `warn` the check warns, outside `fail` it fails. None is open."""

    warn_low: float | None = None
    warn_high: float | None = None
    fail_low: float | None = None
    fail_high: float | None = None


class Protocol(msgspec.Struct, kw_only=True, frozen=True):
    """What a product asks of its input (QC-01, QC-03); empty fields ask nothing."""

    version: str = "1"
    edition: str = ""
    """A published acquisition protocol (`appliance/qc/editions`) whose limits apply besides; empty for none."""
    series: str = "diffusion"
    minimum_b0: int = 1
    recommended_b0: int = 0
    """Fewer than recommended is a warning, fewer than the minimum a failure."""
    minimum_directions: int = 6
    recommended_directions: int = 0
    study_description: str = ""
    series_description: str = ""
    allowed_sex: tuple[str, ...] = ("M", "F")
    limits: dict[str, Limit] = {}
    """By DICOM keyword or derived name: MagneticFieldStrength, RepetitionTime, EchoTime, PixelSpacing, SliceThickness,
    Slices, SpacingGap, FlipAngle, BValue. Units as in DICOM (T, ms, mm, degrees, s/mm2)."""


class Step(msgspec.Struct, kw_only=True, frozen=True):
    """One named step of a run, with its share of the time for the progress bar."""

    name: str
    title: str
    share: float


class Manifest(msgspec.Struct, kw_only=True, frozen=True):
    """One product."""

    id: str
    version: str
    title: str
    intended_use: str
    protocol: Protocol
    steps: list[Step]
    outputs: list[str]
    trend: tuple[str, ...] = ()
    """Values that a report compares with those of the patient's earlier studies."""
    runs_on: tuple[str, ...] = ("local",)
    memory_mb: int = 4096
    cores: int = 2
    timeout_s: int = 7200
    quiet_s: int = 0
    """A run that says nothing for so long hangs; 0 leaves it to `timeout_s`."""
    out_mb: int = 16384
    """Room for what a run writes."""
    command: tuple[str, ...] = ()
    """A site's own product: what is run, program first; never through a shell."""
    settings: dict[str, Any] = {}
    """What a site's own product is told in `task.json`."""
    folder: str = ""
    """Where a site's own product lies; empty for those of the appliance."""


class ProductRequest(msgspec.Struct, kw_only=True, frozen=True):
    """One run: a de-identified folder to read, a folder to write, limits to keep."""

    product: str
    in_folder: str
    out_folder: str
    cores: int = 2
    memory_mb: int = 4096
    folder: str = ""
    """Where a site's own product lies; empty for those of the appliance."""
    kept_folder: str = ""
    """What a run leaves there is still there at its next attempt; empty where nothing may stay."""
    gradient_changes: dict[str, tuple[tuple[int, int, int], ...]] = {}
    """Series number -> 3 x 3 change of the converted gradient directions, where a wrong table is repaired with consent."""
    data_folder: str = ""
    """What the site installed for products: `atlas/`, `models/`, `keys/`, `norms/`; empty where it installed nothing."""
    single_shell_index: bool = False
    """Whether a series with one shell gets the free-water index at fixed tissue MD."""
    age_years: float | None = None
    sex: str = ""
    """`F`, `M` or empty."""


class Value(msgspec.Struct, kw_only=True, frozen=True):
    """One number of a result."""

    name: str
    """Stable column name, `fa_mean_white_matter`."""
    label: str
    value: float | None
    """None where it cannot be computed; what is not finite becomes None."""
    unit: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "value", finite(self.value))


class Picture(msgspec.Struct, kw_only=True, frozen=True):
    """One picture below the out-folder."""

    file: str
    title: str


class ProductResult(msgspec.Struct, kw_only=True, frozen=True):
    """What a product found; never a prediction that no model made."""

    product: str
    version: str
    title: str
    intended_use: str
    values: list[Value]
    pictures: list[Picture]
    maps: list[str]
    """NIfTI files below the out-folder."""
    notes: list[str]
    """Caveats for the report, such as dropped volumes."""
    provenance: dict[str, str]
    """Tool -> version, and what identifies the input without naming the patient."""
    seconds: dict[str, float]
    """Step -> seconds."""
