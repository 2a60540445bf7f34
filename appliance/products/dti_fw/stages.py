"""The long stages, each of which leaves its result: a run that was ended goes on after the last one that is whole."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec
import numpy as np

from appliance.products.dti.nifti import Volumes
from appliance.products.dti.series import B0_LIMIT, DiffusionSeries
from appliance.products.dti_fw.denoise import denoise
from appliance.products.dti_fw.gibbs import remove_ringing
from appliance.products.dti_fw.manifest import MANIFEST
from appliance.products.dti_fw.motion import correct
from appliance.products.progress import Steps
from appliance.storage import write_durable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.float32]

WHOLE_FOURIER = 0.99
Learned = TypeVar("Learned", bound=msgspec.Struct)
_AXES = {"i": 0, "j": 1, "k": 2}


class NoiseFound(msgspec.Struct, kw_only=True, frozen=True):
    """What denoising learned."""

    sigma: float
    """Median in the brain, in units of the pixels."""
    components: float


class MotionFound(msgspec.Struct, kw_only=True, frozen=True):
    """What the correction learned."""

    bvectors: list[list[float]]
    translations_mm: list[float]
    rotations_degrees: list[float]


class Sidecar(msgspec.Struct, kw_only=True, frozen=True):
    """What the converter writes of the acquisition."""

    phase: str = msgspec.field(default="", name="PhaseEncodingDirection")
    phase_axis: str = msgspec.field(default="", name="PhaseEncodingAxis")
    partial_fourier: float = msgspec.field(default=1.0, name="PartialFourier")

    @property
    def axis(self) -> int:
        """Voxel axis of phase encoding; the second where the header does not say."""
        return _AXES.get((self.phase or self.phase_axis)[:1], 1)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A series ready for the fits."""

    pixels: "Pixels"
    """(x, y, z, used volumes)."""
    noise: NoiseFound
    motion: MotionFound


class Checkpoints:
    """Results of stages of one series in a folder; a file is there whole or not at all.

    They belong to one version of the product and to one gradient table: with another one they are not found.
    """

    def __init__(self, folder: Path, series: DiffusionSeries) -> None:
        table = np.column_stack([series.used, series.bvalues, series.bvectors]).astype(np.float64)
        self._folder = folder
        self._series = f"{series.name}-{hashlib.sha256(table.tobytes()).hexdigest()[:16]}"

    def pixels(self, stage: str) -> "Pixels | None":
        """Pixels that an earlier attempt left."""
        path = self._path(stage, "npy")
        if not path.is_file():
            return None
        found: Pixels = np.load(path)
        return found

    def learned(self, stage: str, kind: type[Learned]) -> Learned:
        """What a kept stage learned."""
        return msgspec.json.decode(self._path(stage, "json").read_bytes(), type=kind)

    def keep(self, stage: str, pixels: "Pixels", learned: msgspec.Struct | None = None, before: str = "") -> None:
        """Leaves the pixels of a stage and what it learned; the pixels of the stage before are no longer needed."""
        if learned is not None:
            write_durable(self._path(stage, "json"), msgspec.json.encode(learned))
        draft = self._path(stage, "part")
        with draft.open("wb") as stream:
            np.save(stream, pixels)
            stream.flush()
            # After a power cut the name must not stand for bytes that never reached the disk.
            os.fsync(stream.fileno())
        os.replace(draft, self._path(stage, "npy"))
        if before:
            self._path(before, "npy").unlink(missing_ok=True)

    def _path(self, stage: str, kind: str) -> Path:
        return self._folder / f"{self._series}-{stage}-{MANIFEST.version}.{kind}"


def sidecar(series: DiffusionSeries) -> Sidecar:
    """The converter's description of a series; empty where it left none."""
    try:
        return msgspec.json.decode(series.image.with_suffix(".json").read_bytes(), type=Sidecar)
    except (FileNotFoundError, msgspec.MsgspecError):
        return Sidecar()


def read(series: DiffusionSeries) -> "Pixels":
    """(x, y, z, used volumes)."""
    volumes = Volumes(series.image)
    found = np.empty((*volumes.grid, len(series.used)), np.float32)
    for position, index in enumerate(series.used):
        found[..., position] = volumes.volume(int(index))
    return found


def prepare(series: DiffusionSeries, mask: "NDArray[np.bool_]", folder: Path, steps: Steps) -> Prepared:
    """Noise, ringing, motion and eddy currents taken out; `mask` is of the raw images."""
    kept = Checkpoints(folder, series)
    found = kept.pixels("corrected")
    if found is None:
        found = _without_motion(series, _without_ringing(series, mask, kept, steps), mask, kept, steps)
    return Prepared(found, kept.learned("denoised", NoiseFound), kept.learned("corrected", MotionFound))


def _without_noise(series: DiffusionSeries, mask: "NDArray[np.bool_]", kept: Checkpoints, steps: Steps) -> "Pixels":
    found = kept.pixels("denoised")
    if found is None:
        with steps.step("denoise") as told:
            made = denoise(read(series), mask, progress=told)
            sigma = float(np.median(made.noise[mask]))
            kept.keep("denoised", made.pixels, NoiseFound(sigma=sigma, components=made.components))
            found = made.pixels
    return found


def _without_ringing(series: DiffusionSeries, mask: "NDArray[np.bool_]", kept: Checkpoints, steps: Steps) -> "Pixels":
    found = kept.pixels("unrung")
    if found is None:
        denoised = _without_noise(series, mask, kept, steps)
        with steps.step("ringing") as told:
            found = remove_ringing(denoised, mask, told)
            kept.keep("unrung", found, before="denoised")
    return found


def _without_motion(
    series: DiffusionSeries, pixels: "Pixels", mask: "NDArray[np.bool_]", kept: Checkpoints, steps: Steps
) -> "Pixels":
    with steps.step("motion") as told:
        found = correct(
            pixels,
            series.bvalues,
            series.bvectors,
            mask,
            Volumes(series.image).affine,
            b0_limit=B0_LIMIT,
            phase_axis=sidecar(series).axis,
            progress=told,
        )
        learned = MotionFound(
            bvectors=found.bvectors.tolist(),
            translations_mm=[round(one.translation_mm, 4) for one in found.movements],
            rotations_degrees=[round(one.degrees, 4) for one in found.movements],
        )
        kept.keep("corrected", found.pixels, learned, "unrung")
    return found.pixels
