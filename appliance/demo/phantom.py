"""Writes the head of `head.py` as a DICOM study of a person who does not exist, with the truth beside it.

Explicit VR little endian, classic MR Image Storage, one file a slice and volume; diffusion in the standard attributes
(0018,9087) and (0018,9089). Every value that could name the invented person is listed, so that a search can prove its absence.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

from appliance.demo import head

if TYPE_CHECKING:
    from numpy.typing import NDArray

Vendor = Literal["siemens", "philips"]
_MAKERS: dict[Vendor, tuple[str, str]] = {
    "siemens": ("SIEMENS", "Prisma_fit"),
    "philips": ("Philips Medical Systems", "Ingenia"),
}


@dataclass(frozen=True, slots=True)
class Patient:
    """An invented person and the circumstances of an invented visit; empty fields leave the attribute out."""

    name: str = "Quellwasser^Adalbertine^Theodora"
    patient_id: str = "MRN-7741926"
    birth_date: str = "19580314"
    sex: str = "F"
    age: str = "068Y"
    accession: str = "ACC55120937"
    referring: str = "Zimtstern^Balthasar"
    operator: str = "Pfefferkorn^Ottilie"
    institution: str = "Klinikum Grauwacke"
    address: str = "Birkenallee 17, 04711 Musterhausen"
    phone: str = "+49 30 5550142"
    study_id: str = "V88214"
    station: str = "MRGRAU03"
    serial: str = "SN4471882"
    study_date: str = "20260914"

    def tokens(self) -> list[str]:
        """Every string that tells who the person is, as it could appear in a file, a log line or a table."""
        words = [part for name in (self.name, self.referring, self.operator) for part in name.split("^")]
        whole = [self.patient_id, self.birth_date, self.accession, self.institution, self.address, self.phone]
        place = [self.study_id, self.station, self.serial, *self.institution.split()[1:]]
        return list(dict.fromkeys(token for token in (*words, *whole, *place) if token))


@dataclass(frozen=True, slots=True)
class Truth:
    """What the phantom is made of; arrays are (slices, rows, columns)."""

    grid: head.Grid
    labels: "NDArray[np.uint8]"
    fa: float
    md: float
    """Of white matter, mm2/s; the other tissues' are constants of `head.py`."""
    bvalues: tuple[float, ...]
    directions: "NDArray[np.float64]"
    """(volumes, 3) in LPS; zero for b=0."""

    @property
    def affine(self) -> "NDArray[np.float64]":
        """From (column, row, slice) to RAS millimetres."""
        return self.grid.affine()


@dataclass(frozen=True, slots=True)
class PhantomStudy:
    """One written study."""

    folder: Path
    files: list[Path]
    patient: Patient
    study_uid: str
    series_uids: list[str]
    truth: Truth | None = None
    identity_tokens: list[str] = field(default_factory=list)
    """Strings of the person; none may leave the house or stand in a log."""
    uids: list[str] = field(default_factory=list)
    """Study, series, frame-of-reference and SOP instance UIDs as sent; none may leave in de-identified form."""


def uid(*parts: object) -> str:
    """A UID under 2.25 (PS3.5 B.2) that follows from its parts."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def write_diffusion_study(
    folder: Path,
    *,
    directions: int = 32,
    b0: int = 1,
    bvalue: float = 1000.0,
    second_shell: float = 0.0,
    water: float = 0.0,
    slices: int = 16,
    shape: tuple[int, int] = (48, 48),
    fa: float = 0.8,
    md: float = 7e-4,
    snr: float = 40.0,
    tilt_degrees: float = 0.0,
    vendor: Vendor = "siemens",
    trace_volume: bool = False,
    patient: Patient | None = None,
    series_number: int = 3,
    seed: int = 1,
) -> PhantomStudy:
    """Writes a diffusion series and says what it holds; `snr` is white matter at b=0, 0 means no noise at all.

    With `second_shell` the same directions follow with that b-value; `water` is the fraction of free water in white matter.
    With `trace_volume` a last volume with a b-value but no direction follows, as some scanners add to a series.
    """
    person = patient or Patient()
    grid = head.Grid(shape[0], shape[1], slices, 220.0 / shape[1], 112.0 / slices, tilt_degrees)
    tissue = head.labels(grid)
    known = head.tensors(fa, md)
    scheme: list[tuple[float, NDArray[np.float64] | None]] = [(0.0, None)] * b0
    scheme += [(bvalue, one) for one in head.directions(directions)]
    scheme += [(second_shell, one) for one in head.directions(directions)] if second_shell else []
    scheme += [(bvalue, None)] if trace_volume else []
    chance = np.random.default_rng(seed)
    sigma = head.B0_SIGNAL[head.WHITE_MIDDLE] / snr if snr else 0.0

    writer = SeriesWriter(folder, person, grid, seed=seed, number=series_number, vendor=vendor)
    template = writer.template("DTI_EPI_AX", "ep_b", repetition_ms=8000.0, echo_ms=82.0, flip=90.0)
    for volume, (weight, direction) in enumerate(scheme):
        signal = head.diffusion_signal(tissue, known, weight, direction)
        if water:
            wet = np.isin(tissue, head.WHITE)
            signal[wet] *= 1 - water
            signal[wet] += water * head.B0_SIGNAL[head.WHITE_MIDDLE] * np.exp(-weight * head.CSF_MD)
        _describe_diffusion(template, weight, direction, vendor)
        writer.write_volume(template, head.with_rician_noise(signal, sigma, chance), volume)
    applied = np.array([np.zeros(3) if direction is None else direction for _, direction in scheme])
    truth = Truth(grid, tissue, fa, md, tuple(weight for weight, _ in scheme), applied)
    return writer.finished(truth)


def write_structural_study(
    folder: Path,
    *,
    slices: int = 16,
    shape: tuple[int, int] = (48, 48),
    patient: Patient | None = None,
    series_number: int = 2,
    seed: int = 1,
) -> PhantomStudy:
    """Writes a T1-weighted series of the same head; with the same seed it belongs to the diffusion study of that seed."""
    person = patient or Patient()
    grid = head.Grid(shape[0], shape[1], slices, 220.0 / shape[1], 112.0 / slices)
    signal = np.array([head.T1_SIGNAL[label] for label in range(7)], np.float32)[head.labels(grid)]
    writer = SeriesWriter(folder, person, grid, seed=seed, number=series_number, vendor="siemens")
    template = writer.template("T1_MPRAGE_SAG", "tfl3d1", repetition_ms=2300.0, echo_ms=2.98, flip=9.0)
    template.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
    template.ScanningSequence, template.MRAcquisitionType = "GR", "3D"
    writer.write_volume(template, head.with_rician_noise(signal, 15.0, np.random.default_rng(seed + 1)), 0)
    return writer.finished(None)


def _describe_diffusion(template: Dataset, bvalue: float, direction: "NDArray[np.float64] | None", vendor: Vendor) -> None:
    template.SequenceName = f"*ep_b{bvalue:.0f}"
    template.DiffusionBValue = float(bvalue)
    if direction is None:
        template.DiffusionDirectionality = "NONE" if bvalue == 0 else "ISOTROPIC"
        template.pop("DiffusionGradientOrientation", None)
    else:
        template.DiffusionDirectionality = "DIRECTIONAL"
        template.DiffusionGradientOrientation = [float(part) for part in direction]
    if vendor == "philips":
        _describe_philips(template, bvalue, direction)


def _describe_philips(template: Dataset, bvalue: float, direction: "NDArray[np.float64] | None") -> None:
    # Philips repeats b-value and direction in its own group; converters read those first.
    own = template.private_block(0x2001, "Philips Imaging DD 001", create=True)
    own.add_new(0x03, "FL", float(bvalue))
    own.add_new(0x04, "CS", "O" if direction is not None else "I")
    more = template.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
    for element, part in zip((0xB0, 0xB1, 0xB2), (0.0, 0.0, 0.0) if direction is None else direction, strict=True):
        more.add_new(element, "FL", float(part))


class SeriesWriter:
    """Writes one series, a file a slice, from a template that carries what all its files share."""

    def __init__(self, folder: Path, patient: Patient, grid: head.Grid, *, seed: int, number: int, vendor: Vendor) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.patient, self.grid = folder, patient, grid
        self.seed, self.number, self.vendor = seed, number, vendor
        self.study_uid = uid("study", seed, patient.patient_id)
        self.series_uid = uid("series", seed, patient.patient_id, number)
        self.frame_uid = uid("frame", seed, patient.patient_id)
        self.files: list[Path] = []
        self.sop_uids: list[str] = []

    def template(self, description: str, sequence: str, *, repetition_ms: float, echo_ms: float, flip: float) -> Dataset:
        """A dataset with everything that does not change from slice to slice."""
        found = Dataset()
        self._put_patient(found)
        self._put_equipment(found)
        found.SOPClassUID = MRImageStorage
        found.Modality = "MR"
        found.StudyInstanceUID, found.SeriesInstanceUID = self.study_uid, self.series_uid
        found.FrameOfReferenceUID = self.frame_uid
        found.StudyDescription, found.SeriesDescription, found.ProtocolName = "MR BRAIN DTI", description, description
        found.SeriesNumber = self.number
        found.ImageType = ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"]
        found.SequenceName = f"*{sequence}"
        found.ScanningSequence, found.SequenceVariant, found.ScanOptions = "EP", "SK", "FS"
        found.MRAcquisitionType = "2D"
        found.RepetitionTime, found.EchoTime, found.FlipAngle = repetition_ms, echo_ms, flip
        found.EchoNumbers, found.EchoTrainLength, found.NumberOfAverages = 1, 1, 1
        found.MagneticFieldStrength, found.ImagingFrequency, found.ImagedNucleus = 3.0, 123.2, "1H"
        found.SliceThickness = found.SpacingBetweenSlices = round(self.grid.slice_mm, 6)
        found.PixelSpacing = [round(self.grid.pixel_mm, 6)] * 2
        found.PercentSampling = found.PercentPhaseFieldOfView = 100
        found.PixelBandwidth = 1500
        found.InPlanePhaseEncodingDirection = "COL"
        found.AcquisitionMatrix = [self.grid.columns, 0, 0, self.grid.rows]
        found.PatientPosition = "HFS"
        found.ImageOrientationPatient = [float(f"{part:.9f}") for part in (*self.grid.along_columns, *self.grid.along_rows)]
        found.PositionReferenceIndicator = ""
        found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
        found.Rows, found.Columns = self.grid.rows, self.grid.columns
        found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = 16, 12, 11, 0
        found.WindowCenter, found.WindowWidth = 700, 1400
        return found

    def _put_patient(self, into: Dataset) -> None:
        person = self.patient
        into.PatientName, into.PatientID, into.PatientBirthDate = person.name, person.patient_id, person.birth_date
        if person.sex:
            into.PatientSex = person.sex
        if person.age:
            into.PatientAge = person.age
        into.PatientAddress, into.PatientTelephoneNumbers = person.address, person.phone
        into.PatientComments = f"{person.name.split('^')[0]}, call {person.phone} before the visit"
        into.AccessionNumber, into.StudyID = person.accession, person.study_id
        into.ReferringPhysicianName, into.OperatorsName = person.referring, person.operator
        into.InstitutionName, into.InstitutionAddress = person.institution, person.address
        asked = Dataset()
        asked.RequestedProcedureID = person.accession
        asked.RequestedProcedureDescription = f"MR brain for {person.referring.split('^')[0]}"
        into.RequestAttributesSequence = Sequence([asked])
        into.StudyDate = into.SeriesDate = into.AcquisitionDate = into.ContentDate = person.study_date
        into.StudyTime, into.SeriesTime = "091500", f"0920{self.number % 60:02d}"

    def _put_equipment(self, into: Dataset) -> None:
        into.Manufacturer, into.ManufacturerModelName = _MAKERS[self.vendor]
        into.StationName, into.DeviceSerialNumber = self.patient.station, self.patient.serial
        into.SoftwareVersions = "syngo MR E11" if self.vendor == "siemens" else "5.6.1"

    def write_volume(self, template: Dataset, pixels: "NDArray[np.uint16]", volume: int) -> None:
        """Writes one volume (slices, rows, columns), slice by slice."""
        template.AcquisitionNumber = volume + 1
        for index in range(self.grid.slices):
            count = len(self.files) + 1
            sop_uid = uid("instance", self.seed, self.patient.patient_id, self.number, count)
            seconds = 33_600 + volume * 8
            moment = f"{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}.{index:06d}"
            template.SOPInstanceUID, template.InstanceNumber = sop_uid, count
            template.AcquisitionTime = template.ContentTime = moment
            template.ImagePositionPatient = [float(f"{part:.6f}") for part in self.grid.position(index)]
            template.SliceLocation = round(float(self.grid.position(index) @ self.grid.normal), 6)
            template.PixelData = pixels[index].astype("<u2").tobytes()
            self._write(template, sop_uid, count)

    def _write(self, dataset: Dataset, sop_uid: str, count: int) -> None:
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, UID(sop_uid)
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        path = self.folder / f"S{self.number:03d}_{count:05d}.dcm"
        FileDataset(str(path), dataset, preamble=bytes(128), file_meta=meta).save_as(path, enforce_file_format=True)
        self.files.append(path)
        self.sop_uids.append(sop_uid)

    def finished(self, truth: Truth | None) -> PhantomStudy:
        """The study as it stands in the folder."""
        return PhantomStudy(
            folder=self.folder,
            files=self.files,
            patient=self.patient,
            study_uid=self.study_uid,
            series_uids=[self.series_uid],
            truth=truth,
            identity_tokens=self.patient.tokens(),
            uids=[self.study_uid, self.series_uid, self.frame_uid, *self.sop_uids],
        )
