"""The limits of the image checks, as the data file beside this one states them."""

import tomllib
from functools import cache
from pathlib import Path

import msgspec

from appliance.qc.finding import Verdict


class Level(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Where a figure starts to warn and to fail."""

    warn: float
    fail: float

    def above(self, figure: float) -> Verdict:
        """For a figure that ought to be small."""
        if figure >= self.fail:
            return Verdict.FAILED
        return Verdict.WARNING if figure >= self.warn else Verdict.PASSED

    def below(self, figure: float) -> Verdict:
        """For a figure that ought to be large."""
        if figure < self.fail:
            return Verdict.FAILED
        return Verdict.WARNING if figure < self.warn else Verdict.PASSED


class Slices(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Counts."""

    repeated: Level
    empty: Level


class Interleave(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Ratios."""

    shift: Level
    brightness: Level
    least_slices: int


class Dropout(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Shares from 0 to 1."""

    loss: float
    loss_of_unpredicted_volume: float
    slices: Level
    volumes: Level
    least_area: float


class Motion(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Millimetres and degrees."""

    translation_mm: Level
    rotation_degrees: Level
    phase_encoding_mm: Level
    least_slices: int


class Noise(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Ratios."""

    snr: Level
    cnr: Level


class Coverage(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A share from 0 to 1, and millilitres."""

    cut: Level
    millilitres: Level


class GradientTable(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Deviation of length, count, ratio of coherence."""

    unit_length: Level
    unweighted: Level
    gain: Level
    least_voxels: int
    least_anisotropy: float
    least_bend_degrees: float


class GradientTags(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Degrees, and a share."""

    degrees: Level
    bvalue: Level


class Thresholds(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """All of them."""

    version: str
    slices: Slices
    interleave: Interleave
    dropout: Dropout
    motion: Motion
    noise: Noise
    coverage: Coverage
    gradient_table: GradientTable
    gradient_tags: GradientTags


@cache
def thresholds() -> Thresholds:
    """The data file, read once."""
    return msgspec.convert(tomllib.loads(Path(__file__).with_suffix(".toml").read_text()), Thresholds, strict=False)
