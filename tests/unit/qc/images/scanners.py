"""The head of bent fibres as the scanners of each vendor would send it: DICOM that is read and converted like any other."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from appliance.qc.finding import SeriesFile
from tests.unit.qc import scans
from tests.unit.qc.images.heads import VOXEL_MM, Brain

Direction = tuple[float, float, float]
Table = Callable[[Direction], Direction]
VENDORS = ("siemens", "ge", "philips", "canon", "uih")
_NAMES = {
    "siemens": "SIEMENS",
    "ge": "GE MEDICAL SYSTEMS",
    "philips": "Philips Medical Systems",
    "canon": "CANON_MEC",
    "uih": "UIH",
}


def as_stated(vector: Direction) -> Direction:
    """A table as it is."""
    return vector


def sent(
    brain: Brain, folder: Path, vendor: str, *, table: Table = as_stated, left_out: frozenset[tuple[int, int]] = frozenset()
) -> list[SeriesFile]:
    """Writes one slice a file; `table` changes each direction, `left_out` names volumes and slices that are not sent."""
    folder.mkdir(parents=True, exist_ok=True)
    series, study, frame, files = generate_uid(), generate_uid(), generate_uid(), []
    count = 0
    for volume in range(brain.pixels.shape[3]):
        for place in range(brain.pixels.shape[2]):
            count += 1
            if (volume, place) in left_out:
                continue
            dataset = _slice(brain, vendor, volume, place, table)
            dataset.SeriesInstanceUID, dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = series, study, frame
            dataset.SeriesNumber, dataset.InstanceNumber, dataset.AcquisitionNumber = 7, count, 1 + volume
            files.append(scans.write(dataset, folder / f"{count:04}.dcm", "ours-1"))
    return files


def _slice(brain: Brain, vendor: str, volume: int, place: int, table: Table) -> Dataset:
    dataset = scans.base(vendor)
    dataset.Manufacturer = _NAMES[vendor]
    dataset.Rows, dataset.Columns = brain.pixels.shape[1], brain.pixels.shape[0]
    dataset.PixelSpacing, dataset.SliceThickness, dataset.SpacingBetweenSlices = [*VOXEL_MM[:2]], VOXEL_MM[2], VOXEL_MM[2]
    dataset.ImagePositionPatient = [-94.0, -102.0, -62.5 + VOXEL_MM[2] * place]
    dataset.SliceLocation = -62.5 + VOXEL_MM[2] * place
    dataset.InPlanePhaseEncodingDirection = "COL"
    # The converter turns rows over, so that the second axis grows to the front.
    dataset.PixelData = np.ascontiguousarray(brain.pixels[:, ::-1, place, volume].T.astype("<u2")).tobytes()
    b_value = float(brain.bvalues[volume])
    x, y, z = (float(one) for one in brain.bvectors[volume])
    _WRITERS[vendor](dataset, b_value, table((x, -y, z)) if b_value else None, brain.pixels.shape[2])
    if vendor == "philips":
        # Gradient orientations, b=0 as one of them: the only number by which a missing volume can be told.
        dataset.private_block(0x2005, "Philips MR Imaging DD 005")[0x15].value = brain.pixels.shape[3]
    return dataset


def _siemens(dataset: Dataset, b_value: float, direction: Direction | None, _slices: int) -> None:
    own = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    own.add_new(0x0C, "IS", int(b_value))
    own.add_new(0x0D, "CS", "DIRECTIONAL" if direction else "NONE")
    if direction is not None:
        own.add_new(0x0E, "FD", list(direction))


def _ge(dataset: Dataset, b_value: float, direction: Direction | None, slices: int) -> None:
    along = (direction[0], direction[1], -direction[2]) if direction else None
    scans._ONE_SLICE["ge"](dataset, b_value, along, slices)


def _canon(dataset: Dataset, b_value: float, direction: Direction | None, slices: int) -> None:
    along = (direction[1], direction[0], -direction[2]) if direction else None
    scans._ONE_SLICE["canon"](dataset, b_value, along, slices)


def _uih(dataset: Dataset, b_value: float, direction: Direction | None, _slices: int) -> None:
    own = dataset.private_block(0x0065, "Image Private Header", create=True)
    own.add_new(0x09, "FD", b_value)
    if direction is not None:
        own.add_new(0x37, "FD", list(direction))


_WRITERS = {
    "siemens": _siemens,
    "ge": _ge,
    "philips": scans._ONE_SLICE["philips"],
    "canon": _canon,
    "uih": _uih,
}
