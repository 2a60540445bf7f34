"""Tiny diffusion scans as each vendor writes them: 4 x 4 pixels, but headers with everything that quality control reads."""

import struct
from collections.abc import Callable, Iterator
from math import cos, pi, sin
from pathlib import Path

from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from appliance.qc.finding import Finding, Origin, QcReport, QcRequest, SeriesFile
from appliance.qc.run import run

Direction = tuple[float, float, float]
Change = Callable[[Dataset, int, int], bool | None]
"""Gets a dataset with the numbers of its volume and slice; False leaves the file out."""

MAKERS = ("standard", "siemens-mosaic", "siemens-csa", "ge", "philips", "canon", "uih", "enhanced", "enhanced-one-file")
GIVEN = {"age": Origin(value="45", origin="form"), "sex": Origin(value="F", origin="form")}
_NAMES = {
    "siemens": "SIEMENS",
    "ge": "GE MEDICAL SYSTEMS",
    "philips": "Philips Medical Systems",
    "canon": "CANON_MEC",
    "uih": "UIH",
}


def half_sphere(count: int) -> list[Direction]:
    """Directions of which no two are alike or opposite."""
    found = []
    for index in range(count):
        height = (index + 0.5) / count
        around, radius = index * pi * (3 - 5**0.5), (1 - height**2) ** 0.5
        found.append((radius * cos(around), radius * sin(around), height))
    return found


def a_scan(
    folder: Path,
    maker: str = "standard",
    *,
    directions: int = 6,
    b0: int = 1,
    b_value: float = 1000.0,
    slices: int = 4,
    series: str = "ours-1",
    number: int = 7,
    syntax: UID = ExplicitVRLittleEndian,
    change: Change | None = None,
) -> list[SeriesFile]:
    """Writes one series and says which files it has."""
    folder.mkdir(parents=True, exist_ok=True)
    scheme: list[tuple[float, Direction | None]] = [(0.0, None)] * b0 + [(b_value, one) for one in half_sphere(directions)]
    if maker == "philips":
        scheme.append((b_value, None))
    series_uid, files = generate_uid(), []
    for count, (volume, place, dataset) in enumerate(_datasets(maker, scheme, slices), start=1):
        dataset.SeriesInstanceUID, dataset.SeriesNumber, dataset.InstanceNumber = series_uid, number, count
        if change is not None and change(dataset, volume, place) is False:
            continue
        files.append(write(dataset, folder / f"{series}-{count:04}.dcm", series, syntax))
    return files


def write(dataset: Dataset, path: Path, series: str, syntax: UID = ExplicitVRLittleEndian) -> SeriesFile:
    """One Part 10 file."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", MRImageStorage)
    meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", generate_uid())
    meta.TransferSyntaxUID = syntax
    whole = FileDataset(str(path), dataset, bytes(128), meta)
    whole.set_original_encoding(None, None)
    dcmwrite(path, whole, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian)
    return SeriesFile(instance=path.stem, series=series, path=str(path))


def report_of(files: list[SeriesFile], **request: object) -> QcReport:
    """A run with age and sex given, for one product with the default protocol unless said otherwise."""
    asked = {"protocols": {"dti": {}}, "given": GIVEN, **request}
    return run(QcRequest(order="order-1", files=files, **asked), lambda _share, _step: None)  # type: ignore[arg-type]


def finding(report: QcReport, check: str) -> Finding:
    """The one finding of a check."""
    (found,) = [one for one in report.findings if one.check == check]
    return found


def base(maker: str = "standard") -> Dataset:
    """What every image says."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.Modality = MRImageStorage, "MR"
    dataset.SOPInstanceUID = generate_uid()
    dataset.Manufacturer = _NAMES.get(maker.split("-")[0], "Anybody")
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    dataset.PatientName, dataset.PatientID = "Quellwasser^Adalbertine", "MRN-7741926"
    dataset.PatientAge, dataset.PatientSex, dataset.PatientBirthDate = "045Y", "F", "19800102"
    dataset.StudyDate = "20250304"
    dataset.StudyDescription, dataset.SeriesDescription = "MRI  Brain for Quellwasser", "Adalbertine DTI"
    dataset.ScanningSequence = ["EP", "SE"]
    dataset.SliceThickness, dataset.SpacingBetweenSlices, dataset.RepetitionTime, dataset.EchoTime = 2, 2, 8000, 80
    dataset.MagneticFieldStrength, dataset.FlipAngle, dataset.PixelSpacing = 3, 90, [2, 2]
    dataset.ImageOrientationPatient, dataset.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 0]
    dataset.Rows = dataset.Columns = 4
    dataset.SamplesPerPixel, dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 1, 16, 12, 11
    dataset.PixelRepresentation, dataset.PhotometricInterpretation = 0, "MONOCHROME2"
    dataset.PixelData = bytes(32)
    return dataset


def _datasets(maker: str, scheme: list[tuple[float, Direction | None]], slices: int) -> Iterator[tuple[int, int, Dataset]]:
    if maker == "enhanced-one-file":
        frames = [(weight, one, place) for weight, one in scheme for place in range(slices)]
        yield 0, 0, _enhanced(frames)
        return
    for volume, (weight, direction) in enumerate(scheme):
        if maker == "enhanced":
            yield volume, 0, _enhanced([(weight, direction, place) for place in range(slices)])
        elif maker in _WHOLE_VOLUMES:
            yield volume, 0, _WHOLE_VOLUMES[maker](weight, direction, slices)
        else:
            for place in range(slices):
                dataset = base(maker)
                dataset.ImagePositionPatient = [0, 0, 2 * place]
                _ONE_SLICE[maker](dataset, weight, direction, slices)
                yield volume, place, dataset


def _standard(dataset: Dataset, weight: float, direction: Direction | None, _slices: int) -> None:
    dataset.DiffusionBValue = weight
    if direction is not None:
        dataset.DiffusionGradientOrientation = list(direction)


def _ge(dataset: Dataset, weight: float, direction: Direction | None, slices: int) -> None:
    gradient = dataset.private_block(0x0019, "GEMS_ACQU_01", create=True)
    for low, part in zip((0xBB, 0xBC, 0xBD), direction or (0, 0, 0), strict=True):
        gradient.add_new(low, "DS", f"{part:.6f}")
    dataset.private_block(0x0021, "GEMS_RELA_01", create=True).add_new(0x4F, "SS", slices)
    parameters = dataset.private_block(0x0043, "GEMS_PARM_01", create=True)
    parameters.add_new(0x30, "SS", 16 if direction else 14)
    parameters.add_new(0x39, "IS", [int(weight) + 1_000_000_000 if weight else 0, 8, 0, 0])


def _philips(dataset: Dataset, weight: float, direction: Direction | None, slices: int) -> None:
    imaging = dataset.private_block(0x2001, "Philips Imaging DD 001", create=True)
    imaging.add_new(0x03, "FL", weight)
    imaging.add_new(0x04, "CS", "O" if direction else "I")
    imaging.add_new(0x18, "SL", slices)
    older = dataset.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
    for low, part in zip((0xB0, 0xB1, 0xB2), direction or (0.0, 0.0, 0.0), strict=True):
        older.add_new(low, "FL", part)
    dataset.private_block(0x2005, "Philips MR Imaging DD 005", create=True).add_new(0x15, "SL", 7)


def _canon(dataset: Dataset, weight: float, direction: Direction | None, _slices: int) -> None:
    dataset.DiffusionBValue = weight
    if direction is not None:
        dataset.ImageComments = f"b={weight:.0f}({direction[0]:.3f},{direction[1]:.3f},{direction[2]:.3f})"


def _mosaic(weight: float, direction: Direction | None, slices: int) -> Dataset:
    dataset = base("siemens")
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE", "ND", "MOSAIC"]
    own = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    own.add_new(0x0A, "US", slices)
    own.add_new(0x0C, "IS", int(weight))
    own.add_new(0x0D, "CS", "DIRECTIONAL" if direction else "NONE")
    if direction is not None:
        own.add_new(0x0E, "FD", list(direction))
    protocol = b"sDiffusion.lDiffWeightings\t = \t2\nsDiffusion.lDiffDirections\t = \t6\nsDiffusion.ulMode\t = \t256\n"
    dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x20, "OB", protocol)
    return dataset


def _mosaic_of_an_old_release(weight: float, direction: Direction | None, slices: int) -> Dataset:
    dataset = base("siemens")
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    table: dict[str, list[float]] = {"NumberOfImagesInMosaic": [slices], "B_value": [weight]}
    table["DiffusionGradientDirection"] = list(direction or ())
    dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", a_csa_header(table))
    return dataset


def a_csa_header(table: dict[str, list[float]]) -> bytes:
    """A Siemens CSA2 header with these numbers."""
    parts = [b"SV10\x04\x03\x02\x01", struct.pack("<II", len(table), 77)]
    for name, numbers in table.items():
        parts.append(struct.pack("<64si4siii", name.encode(), len(numbers), b"FD", 3, 6, 77))
        for index in range(6):
            text = f"{numbers[index]:.8f}".encode() + b"\0" if index < len(numbers) else b""
            parts.append(struct.pack("<4i", 0, len(text), 77, 0) + text + bytes(-len(text) % 4))
    return b"".join(parts)


def _grid(weight: float, direction: Direction | None, slices: int) -> Dataset:
    dataset = base("uih")
    del dataset.ImagePositionPatient
    own = dataset.private_block(0x0065, "Image Private Header", create=True)
    own.add_new(0x09, "FD", weight or 1.25)
    own.add_new(0x37, "FD", list(direction or (0.0, 0.0, 0.0)))
    own.add_new(0x50, "DS", slices)
    items = []
    for place in range(slices):
        item = Dataset()
        item.ImagePositionPatient = [0, 0, 2 * place]
        items.append(item)
    own.add_new(0x51, "SQ", Sequence(items))
    return dataset


def _enhanced(frames: list[tuple[float, Direction | None, int]]) -> Dataset:
    dataset = base("standard")
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "RepetitionTime"):
        del dataset[keyword]
    del dataset.EchoTime, dataset.FlipAngle, dataset.SpacingBetweenSlices
    dataset.SOPClassUID = EnhancedMRImageStorage
    dataset.NumberOfFrames, dataset.PixelData = len(frames), bytes(32 * len(frames))
    shared, measures, timing, echo, plane = (Dataset() for _ in range(5))
    measures.PixelSpacing, measures.SliceThickness, measures.SpacingBetweenSlices = [2, 2], 2, 2
    timing.RepetitionTime, timing.FlipAngle = 8000, 90
    echo.EffectiveEchoTime = 80.0
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.MRTimingAndRelatedParametersSequence = Sequence([measures]), Sequence([timing])
    shared.MREchoSequence, shared.PlaneOrientationSequence = Sequence([echo]), Sequence([plane])
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = Sequence([_group(*frame) for frame in frames])
    return dataset


def _group(weight: float, direction: Direction | None, place: int) -> Dataset:
    group, diffusion, position, kind = (Dataset() for _ in range(4))
    diffusion.DiffusionBValue = weight
    diffusion.DiffusionDirectionality = "DIRECTIONAL" if direction else "NONE"
    if direction is not None:
        inner = Dataset()
        inner.DiffusionGradientOrientation = list(direction)
        diffusion.DiffusionGradientDirectionSequence = Sequence([inner])
    position.ImagePositionPatient = [0, 0, 2 * place]
    kind.FrameType = ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"]
    group.MRDiffusionSequence, group.PlanePositionSequence = Sequence([diffusion]), Sequence([position])
    group.MRImageFrameTypeSequence = Sequence([kind])
    return group


_ONE_SLICE = {"standard": _standard, "ge": _ge, "philips": _philips, "canon": _canon}
_WHOLE_VOLUMES = {"siemens-mosaic": _mosaic, "siemens-csa": _mosaic_of_an_old_release, "uih": _grid}
