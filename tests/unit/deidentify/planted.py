"""Small MR instances with an invented identity planted in every corner of the file."""

from collections.abc import Sequence as Many
from pathlib import Path
from typing import Any

from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage

from appliance.deidentify.passport import DeidAnswer, DeidRequest, SourceFile
from appliance.deidentify.run import run

SECRET = "5a" * 32
TOKENS = [
    "Wolkenstein", "Cassiopeia", "Theophrast", "PX-88-4417", "PX884417", "078-05-1120", "ACC99120042", "Feldspat", "Korund",
    "Eulenklinik", "Quarzweg", "Steinbruch", "MRQUARZ7", "SN-70551-K", "+49 30 5550199", "w.cassiopeia@example.org", "Imkerin",
    "portal.example.org", "10.20.30.40", "Basaltwerk", "ROUTER_AE", "19440229", "20240311",
]  # fmt: skip
"""Everything that must be gone; dates as they stand in the source."""
PIXELS = bytes(range(256)) * 2


def an_instance(
    path: Path,
    *,
    number: int = 1,
    syntax: UID = ExplicitVRLittleEndian,
    study_date: str = "20240311",
    study: str = "1.2.3.4.5.6",
    **changes: object,
) -> Path:
    """Writes one instance; `changes` are keywords and their values, None deletes."""
    dataset = _head(number, study, study_date)
    _plant(dataset, study, syntax)
    for keyword, value in changes.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    dataset.Rows = dataset.Columns = 16
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelData = PIXELS
    dataset["PixelData"].VR = "OW"
    return _saved(path, dataset, syntax)


def _head(number: int, study: str, study_date: str) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"]
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, f"{study}.7.{number}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, f"{study}.7"
    dataset.FrameOfReferenceUID = f"{study}.8"
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = study_date
    dataset.StudyTime, dataset.AcquisitionTime = "101522", "101522.250"
    dataset.AcquisitionDateTime = study_date + "101522.250000+0100"
    dataset.Modality, dataset.Manufacturer, dataset.ManufacturerModelName = "MR", "SIEMENS", "Prisma_fit"
    dataset.SoftwareVersions, dataset.BodyPartExamined = "syngo MR E11", "HEAD"
    dataset.SeriesNumber, dataset.InstanceNumber = 4, number
    dataset.DiffusionBValue, dataset.DiffusionGradientOrientation = 1000.0, [0.6, 0.8, 0.0]
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, number * 2.5], [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.SliceThickness, dataset.EchoTime, dataset.RepetitionTime = [2, 2], 2.5, 82, 8000
    return dataset


def _plant(dataset: Dataset, study: str, syntax: UID) -> None:
    dataset.PatientName, dataset.PatientID = "Wolkenstein^Cassiopeia^Anne^Dr", "PX-88-4417"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientAge = "19440229", "F", "080Y"
    dataset.OtherPatientIDs, dataset.PatientBirthName = "078-05-1120", "Theophrast^Cassiopeia"
    dataset.PatientAddress, dataset.PatientTelephoneNumbers = "Quarzweg 3, 04711 Steinbruch", "+49 30 5550199"
    dataset.Occupation, dataset.PatientComments = "Imkerin", "write to w.cassiopeia@example.org, works at Basaltwerk"
    dataset.AccessionNumber, dataset.StudyID = "ACC99120042", "V-2211"
    dataset.ReferringPhysicianName, dataset.OperatorsName = "Feldspat^Hyazinth", "Korund^Ottokar"
    dataset.InstitutionName, dataset.InstitutionAddress = "Eulenklinik", "Quarzweg 99, Steinbruch"
    dataset.StationName, dataset.DeviceSerialNumber = "MRQUARZ7", "SN-70551-K"
    dataset.StudyDescription = "MR BRAIN wolkenstein Eulenklinik PX 88 4417"
    dataset.SeriesDescription, dataset.ProtocolName = "DTI_64 for Cassiopeia", "dti KORUND"
    dataset.ImageComments = "seen 11.03.2024 https://portal.example.org/p/7 10.20.30.40 +49 30 5550199"
    person = Dataset()
    person.PatientID, person.IssuerOfPatientID = "078-05-1120", "Eulenklinik"
    dataset.OtherPatientIDsSequence = Sequence([person])
    asked = Dataset()
    asked.ReasonForTheRequestedProcedure = "fell at Basaltwerk"
    asked.ScheduledProcedureStepDescription = "for Wolkenstein"
    dataset.RequestAttributesSequence = Sequence([asked])
    deep = Dataset()
    deep.ReferencedSOPClassUID, deep.ReferencedSOPInstanceUID = MRImageStorage, f"{study}.7.1"
    deep.PatientName, deep.StudyDate = "Wolkenstein^Cassiopeia", dataset.StudyDate
    deeper = Dataset()
    deeper.CodeValue, deeper.CodingSchemeDesignator, deeper.CodeMeaning = "121311", "DCM", "Localizer of Wolkenstein"
    deeper.OperatorsName = "Korund^Ottokar"
    deep.PurposeOfReferenceCodeSequence = Sequence([deeper])
    dataset.ReferencedImageSequence = Sequence([deep])
    icon = Dataset()
    icon.Rows = icon.Columns = 2
    icon.add_new(0x7FE00010, "OW", b"Wolkenstein ")
    dataset.IconImageSequence = Sequence([icon])
    _plant_private(dataset, syntax)
    dataset.add_new(0x60000010, "US", 16)
    dataset.add_new(0x60000022, "LO", "ROI Wolkenstein")
    dataset.add_new(0x60003000, "OW", b"Wolkenstein " * 2)
    dataset.add_new(0x50000022, "LO", "curve of Korund")


def _plant_private(dataset: Dataset, syntax: UID) -> None:
    siemens = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    siemens.add_new(0x0C, "IS", "1000")
    siemens.add_new(0x0D, "CS", "DIRECTIONAL")
    siemens.add_new(0x0E, "FD", [0.6, 0.8, 0.0])
    siemens.add_new(0x77, "LO", "Wolkenstein")
    text = dataset.private_block(0x0051, "SIEMENS MR HEADER", create=True)
    text.add_new(0x0F, "LO", "HEA;Cassiopeia")
    stranger = dataset.private_block(0x0099, "ACME RIS WOLKENSTEIN", create=True)
    known = ("UN", b"Wolkenstein ") if syntax == ImplicitVRLittleEndian else ("LO", "Wolkenstein")
    stranger.add_new(0x01, *known)


def _saved(path: Path, dataset: Dataset, syntax: UID) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    meta.TransferSyntaxUID, meta.SourceApplicationEntityTitle = syntax, "ROUTER_AE"
    meta.PrivateInformationCreatorUID, meta.PrivateInformation = UID("1.2.3.99"), b"Wolkenstein "
    dataset.file_meta, dataset.preamble = meta, b"Wolkenstein PX-88-4417".ljust(128)
    path.parent.mkdir(parents=True, exist_ok=True)
    implicit = syntax == ImplicitVRLittleEndian
    dcmwrite(path, dataset, implicit_vr=implicit, little_endian=syntax != ExplicitVRBigEndian, enforce_file_format=True)
    return path


def a_request(
    files: Many[Path],
    out: Path,
    *,
    pseudonym: str = "p1",
    secret: str = SECRET,
    given: dict[str, str] | None = None,
    **section: Any,
) -> DeidRequest:
    """The request for some files, all of one series; `section` are settings."""
    listed = [
        SourceFile(instance=f"instance-{number:04d}", series="series-01", path=str(path)) for number, path in enumerate(files)
    ]
    return DeidRequest(
        order="0197-order",
        files=listed,
        out_folder=str(out),
        pseudonym=pseudonym,
        secret=secret,
        section=section,
        given=given or {},
    )


def quiet(_share: float, _step: str) -> None:
    """A progress that nobody looks at."""


def deidentified(files: Many[Path], out: Path, *, pseudonym: str = "p1", **section: Any) -> DeidAnswer:
    """Runs the stage."""
    return run(a_request(files, out, pseudonym=pseudonym, **section), quiet)


def written(out: Path) -> list[Path]:
    """The output files in the order of the request."""
    return sorted(out.rglob("*.dcm"))


def left_in(path: Path, tokens: Many[str]) -> list[str]:
    """The tokens that stand in a file's bytes, in any case, as UTF-8, Latin-1 or UTF-16."""
    content = path.read_bytes().lower()
    found = []
    for token in tokens:
        forms = {token.lower().encode(codec, "ignore") for codec in ("utf-8", "latin-1", "utf-16-le")}
        if any(form and form in content for form in forms):
            found.append(token)
    return found
